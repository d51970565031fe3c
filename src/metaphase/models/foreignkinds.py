"""The words that describe an imported graph: kinds, layouts, scalings, decodings."""

from __future__ import annotations

from typing import Literal

Kind = Literal["yolo", "retinanet", "fcos", "points", "boxes"]
Layout = Literal["nchw", "nhwc", "chw", "hwc"]
Number = Literal["float32", "float16", "float64", "uint8"]
Colour = Literal["rgb", "bgr"]
Scaling = Literal["0-1", "0-255", "imagenet"]
Resize = Literal["none", "stretch", "letterbox"]
Decoding = Literal[
    "yolov5",
    "yolov8",
    "rows",
    "batch-rows",
    "boxes",
    "class-boxes",
    "retinanet",
    "retinanet-levels",
    "fcos",
    "heat-map",
]
ScoreKind = Literal["probability", "logit", "softmax"]
BoxFormat = Literal["xyxy", "yxyx", "xywh", "cxcywh"]
Coordinates = Literal["pixels", "unit"]

LEFT_OUT = "*"
"""A class whose name ends in this is not a detection: another object, or the background."""
