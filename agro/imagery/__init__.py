"""Foreign pixels to an observation cube: offset and scale, mask, merge of one solar day."""

from agro.imagery.day import Day, group_by_day, read_day

__all__ = ["Day", "group_by_day", "read_day"]
