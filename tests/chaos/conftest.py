"""Servers of real models for what goes wrong around them."""

from servers import launch

__all__ = ["launch"]
