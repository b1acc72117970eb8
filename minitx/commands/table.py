"""All commands. A new one is a file in this folder and an entry here."""

from minitx.commands import (
    bench,
    compare,
    evaluate,
    explain,
    export,
    generate,
    importance,
    inspect,
    predict,
    train,
    translate,
)
from minitx.commands.command import Command

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND
    for module in (
        train,
        generate,
        translate,
        predict,
        evaluate,
        inspect,
        explain,
        importance,
        export,
        compare,
        bench,
    )
}
