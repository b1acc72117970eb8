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
    """The only W&B run in a run's folder, as `read_so_far` returns it."""
    (path,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    return read(path)


def read(path):
    """What W&B wrote of a run that has ended, once its own process is through with it."""
    end = time.monotonic() + WAIT
    while "exit" not in (found := read_so_far(path)) and time.monotonic() < end:
        time.sleep(0.2)
    return found


def read_so_far(path):
    """Its id, name, group, project, job type, tags, config, history, summary, metrics, artifacts.

    `metrics` are those with a summary of their own, such as {"val/loss": ["min"]}.
    """
    found = {"config": {}, "history": [], "summary": {}, "metrics": {}, "artifacts": []}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            found |= {"id": run.run_id, "name": run.display_name, "group": run.run_group}
            found |= {"project": run.project, "job_type": run.job_type, "tags": list(run.tags)}
            found["config"] |= values(run.config.update)
        elif kind == "config":
            found["config"] |= values(record.config.update)
        elif kind == "summary":
            found["summary"] |= values(record.summary.update)
        elif kind == "metric" and record.metric.HasField("summary"):
            chosen = [field.name for field, _ in record.metric.summary.ListFields()]
            found["metrics"][record.metric.name] = chosen
        elif kind == "artifact":
            found["artifacts"].append(record.artifact)
        elif kind == "exit":
            found["exit"] = record.exit.exit_code
        elif kind == "history":
            found["history"].append(values(record.history.item))
    return found


def values(items):
    """Changed values by name; the names of nested ones are joined by a slash."""
    return {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
