#!/usr/bin/env python3
"""Write events.hex: the event file that TensorBoard's own writer makes of the lines in log.jsonl, and check that its reader takes it.

Needs tensorboard (made with 2.21.0): python make.py
"""
import json
import os
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

OTHERS = ("step", "steps", "evaluation", "epoch", "texts", "queries", "seconds", "time")

here = os.path.dirname(os.path.abspath(__file__))
lines = [json.loads(line) for line in open(os.path.join(here, "log.jsonl"))]
with tempfile.TemporaryDirectory() as place:
    path = os.path.join(place, "events.out.tfevents.1.ft")
    writer = RecordWriter(open(path, "wb"))
    writer.write(Event(file_version="brain.Event:2").SerializeToString())
    for line in lines:
        values = [Summary.Value(tag=k, simple_value=v) for k, v in line.items() if k not in OTHERS and isinstance(v, (int, float))]
        step = line["step"] if "step" in line else line["evaluation"]
        writer.write(Event(wall_time=line["time"], step=step, summary=Summary(value=values)).SerializeToString())
    writer.close()
    data = open(path, "rb").read()
    read = EventAccumulator(place)
    read.Reload()
    assert [e.step for e in read.Scalars("loss")] == [1, 2, 300], read.Scalars("loss")
    assert [e.step for e in read.Scalars("map")] == [0, 300]
with open(os.path.join(here, "events.hex"), "w") as out:
    for i in range(0, len(data), 32):
        out.write(data[i:i + 32].hex() + "\n")
