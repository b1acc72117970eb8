"""Reading a run-*.wandb file: W&B's own records, in the log format of LevelDB.

A header of 7 bytes, then blocks of 32 KiB; in a block, pieces of records with a header each: CRC
(4 bytes), length (2), kind (1: whole, 2: first, 3: middle, 4: last piece).
"""

import json
import time

from wandb.proto.wandb_internal_pb2 import Record

WAIT = 20  # seconds
BLOCK, FILE_HEADER, PIECE_HEADER = 32 * 1024, 7, 7


def records(path):
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    position, pieces = FILE_HEADER, b""
    while position < len(data):
        if BLOCK - position % BLOCK < PIECE_HEADER:  # the rest of a block is left empty
            position += BLOCK - position % BLOCK
            continue
        length = int.from_bytes(data[position + 4 : position + 6], "little")
        kind = data[position + 6]
        position += PIECE_HEADER
        pieces += data[position : position + length]
        position += length
        if kind in (1, 4):
            yield Record.FromString(pieces)
            pieces = b""


def wandb_run(folder):
    """The only W&B run in a run's folder: its id, name, group, config, history and exit code."""
    (path,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    return read(path)


def read(path):
    """What W&B wrote of a run that has ended, once its own process is through with it."""
    end = time.monotonic() + WAIT
    while "exit" not in (found := read_so_far(path)) and time.monotonic() < end:
        time.sleep(0.2)
    return found


def read_so_far(path):
    found = {"config": {}, "history": []}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found |= {"id": record.run.run_id, "name": record.run.display_name}
            found |= {"group": record.run.run_group, "project": record.run.project}
            changes = record.run.config.update
        elif kind == "config":
            changes = record.config.update
        elif kind == "exit":
            found["exit"] = record.exit.exit_code
            continue
        elif kind == "history":
            items = record.history.item
            found["history"].append(
                {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
            )
            continue
        else:
            continue
        for change in changes:
            value = json.loads(change.value_json)
            name = change.key or ".".join(change.nested_key)
            found["config"][name] = value
    return found
