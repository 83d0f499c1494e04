"""Spread heavy steps over a Spark cluster, through Spark Connect. Needs the extra `spark`."""
