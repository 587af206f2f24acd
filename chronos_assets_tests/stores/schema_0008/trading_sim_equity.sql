CREATE TABLE 'trading_sim_equity' ( 
	simulation_id SYMBOL,
	run_id SYMBOL,
	mode SYMBOL,
	equity DOUBLE,
	drawdown_pct DOUBLE,
	position DOUBLE,
	timestamp TIMESTAMP_NS
) timestamp(timestamp) PARTITION BY YEAR
DEDUP UPSERT KEYS(simulation_id,mode,timestamp)
