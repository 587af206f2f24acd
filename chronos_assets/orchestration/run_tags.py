"""Tags of a run: its dataset, the night that asked for it, why it exists, and the content that it was asked for."""

PARTITION_TAG = "dagster/partition"
NIGHT_TAG = "chronos/night"
WHY_TAG = "chronos/why"
CONTENT_TAG = "chronos/content"
