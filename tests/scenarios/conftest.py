"""Fixtures of the scenarios; the classes behind them are in running_service."""

from joined_sidecar import start_sidecar
from running_service import service, start_service

__all__ = ["service", "start_service", "start_sidecar"]
