"""What both frameworks' classes share."""
