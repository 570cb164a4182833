"""The data's journey from a source to Parquet on the Hub, one file a verb."""
