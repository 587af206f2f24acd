"""Pure rules of the field: values in, values out. No Dagster, no database, no clock, no environment."""
