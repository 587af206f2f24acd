CREATE TABLE 'indicator_bars' ( 
	dataset SYMBOL,
	source SYMBOL,
	granularity SYMBOL,
	date_i LONG,
	time_i LONG,
	timestamp_unix LONG,
	timestamp TIMESTAMP_NS,
	Open DOUBLE,
	High DOUBLE,
	Low DOUBLE,
	Close DOUBLE,
	FEAT_A DOUBLE,
	FEAT_B DOUBLE,
	FEAT_C DOUBLE,
	TGT_A DOUBLE,
	TGT_B DOUBLE
) timestamp(timestamp) PARTITION BY YEAR
DEDUP UPSERT KEYS(dataset,timestamp)
