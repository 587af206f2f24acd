CREATE TABLE 'trading_sim_traces' ( 
	simulation_id SYMBOL,
	run_id SYMBOL,
	mode SYMBOL,
	side SYMBOL,
	fold SYMBOL,
	exit_reason SYMBOL,
	trade_no LONG,
	decision_timestamp_unix LONG,
	exit_timestamp_unix LONG,
	entry_price DOUBLE,
	exit_price DOUBLE,
	position_size DOUBLE,
	pnl DOUBLE,
	return_pct DOUBLE,
	cumul_return_pct DOUBLE,
	entry_signal DOUBLE,
	exit_signal DOUBLE,
	timestamp TIMESTAMP_NS
) timestamp(timestamp) PARTITION BY YEAR
DEDUP UPSERT KEYS(simulation_id,mode,trade_no,timestamp)
