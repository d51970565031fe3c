"""The former name of ``metaphase.matmul``, for modules that are moved at the moment."""

from metaphase.matmul import covariance
from metaphase.matmul import matmul as times

__all__ = ["covariance", "times"]
