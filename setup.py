"""The packages of the wheel: minitx/, and the folder conf/ as minitx/conf."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["minitx*"]), "minitx.conf"],
    package_dir={"minitx.conf": "conf"},
)
