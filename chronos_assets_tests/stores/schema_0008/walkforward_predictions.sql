CREATE TABLE 'walkforward_predictions' ( 
	run_id SYMBOL,
	fold SYMBOL,
	dataset SYMBOL,
	target SYMBOL,
	bar_index LONG,
	prediction DOUBLE,
	target_value DOUBLE,
	long_threshold DOUBLE,
	short_threshold DOUBLE,
	score DOUBLE,
	timestamp TIMESTAMP_NS
) timestamp(timestamp) PARTITION BY YEAR
DEDUP UPSERT KEYS(run_id,fold,timestamp)
