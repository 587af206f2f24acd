"""What the export costs beside the bare client."""
