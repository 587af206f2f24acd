SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.chronos_schema_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.export_audits (
    audit_id bigint NOT NULL,
    dataset_id text NOT NULL,
    questdb_tag text NOT NULL,
    checksum text NOT NULL,
    mode text NOT NULL,
    row_count bigint NOT NULL,
    first_bar_ts timestamp with time zone NOT NULL,
    last_bar_ts timestamp with time zone NOT NULL,
    content_hash text NOT NULL,
    verdict text NOT NULL,
    report jsonb DEFAULT '{}'::jsonb NOT NULL,
    base_revision bigint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    completed_at timestamp with time zone,
    CONSTRAINT export_audits_completed_check CHECK (((verdict = 'running'::text) = (completed_at IS NULL))),
    CONSTRAINT export_audits_mode_check CHECK ((mode = ANY (ARRAY['full'::text, 'sample'::text]))),
    CONSTRAINT export_audits_row_count_check CHECK ((row_count >= 0)),
    CONSTRAINT export_audits_verdict_check CHECK ((verdict = ANY (ARRAY['running'::text, 'passed'::text, 'failed'::text])))
);
ALTER TABLE public.export_audits ALTER COLUMN audit_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.export_audits_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.indicator_datasets (
    dataset_id text NOT NULL,
    symbol text NOT NULL,
    granularity text NOT NULL,
    source text NOT NULL,
    questdb_tag text NOT NULL,
    row_count bigint NOT NULL,
    first_bar_ts timestamp with time zone NOT NULL,
    last_bar_ts timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revision bigint DEFAULT 1 NOT NULL,
    checksum text,
    content_hash text,
    columns jsonb DEFAULT '[]'::jsonb NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT indicator_datasets_range_check CHECK ((first_bar_ts <= last_bar_ts)),
    CONSTRAINT indicator_datasets_revision_check CHECK ((revision >= 1)),
    CONSTRAINT indicator_datasets_row_count_check CHECK ((row_count >= 0))
);
CREATE TABLE public.lfs_features (
    lfs_id uuid NOT NULL,
    feature text NOT NULL,
    feature_no bigint NOT NULL,
    selected_count bigint,
    pct double precision,
    p_solo double precision,
    p_unbiased double precision,
    excluded text
);
CREATE TABLE public.lfs_runs (
    lfs_id uuid NOT NULL,
    dataset_id text NOT NULL,
    target_column text NOT NULL,
    feature_columns jsonb NOT NULL,
    config jsonb NOT NULL,
    status text NOT NULL,
    requested_by text,
    dagster_run_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    duration_ms bigint,
    progress jsonb,
    summary_metrics jsonb,
    dataset_checksum text,
    questdb_tag text,
    content_hash text,
    code_version text,
    device text,
    cancel_requested boolean DEFAULT false NOT NULL,
    CONSTRAINT lfs_runs_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.simulation_runs (
    simulation_id uuid NOT NULL,
    run_id uuid NOT NULL,
    dataset_id text NOT NULL,
    mode text NOT NULL,
    config jsonb NOT NULL,
    status text NOT NULL,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    summary_metrics jsonb,
    questdb_namespace text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT simulation_runs_mode_check CHECK ((mode = ANY (ARRAY['long'::text, 'short'::text, 'dual'::text]))),
    CONSTRAINT simulation_runs_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.simulation_trade_buckets (
    simulation_id uuid NOT NULL,
    side text NOT NULL,
    trade_count bigint NOT NULL,
    win_count bigint NOT NULL,
    profit_factor double precision,
    avg_return_pct double precision,
    max_drawdown_pct double precision,
    notes text,
    no_losses boolean DEFAULT false NOT NULL
);
CREATE TABLE public.sweep_runs (
    sweep_id uuid NOT NULL,
    run_id uuid NOT NULL,
    changes jsonb NOT NULL
);
CREATE TABLE public.sweeps (
    sweep_id uuid NOT NULL,
    dataset_id text NOT NULL,
    target text NOT NULL,
    grid jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.walkforward_folds (
    run_id uuid NOT NULL,
    fold_number bigint NOT NULL,
    train_start_idx bigint NOT NULL,
    train_end_idx bigint NOT NULL,
    test_start_idx bigint NOT NULL,
    test_end_idx bigint NOT NULL,
    samples_train bigint NOT NULL,
    samples_test bigint NOT NULL,
    best_iteration bigint,
    best_score double precision,
    thresholds jsonb,
    metrics jsonb,
    train_start_ts timestamp with time zone,
    train_end_ts timestamp with time zone,
    test_start_ts timestamp with time zone,
    test_end_ts timestamp with time zone,
    fold_key text,
    artifact text,
    importance jsonb,
    artifact_sha256 text,
    artifact_bytes bigint,
    validation_sha256 text,
    validation_bytes bigint,
    versions jsonb,
    CONSTRAINT walkforward_folds_fold_number_check CHECK ((fold_number >= 0))
);
CREATE TABLE public.walkforward_runs (
    run_id uuid NOT NULL,
    dataset_id text NOT NULL,
    target_column text NOT NULL,
    feature_columns jsonb NOT NULL,
    hyperparameters jsonb NOT NULL,
    walk_config jsonb NOT NULL,
    status text NOT NULL,
    requested_by text,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    duration_ms bigint,
    summary_metrics jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    dataset_checksum text,
    questdb_tag text,
    content_hash text,
    code_version text,
    device text,
    CONSTRAINT walkforward_runs_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.walkforward_trials (
    run_id uuid NOT NULL,
    dataset_id text NOT NULL,
    lineage text NOT NULL,
    target_column text NOT NULL,
    content_hash text,
    request jsonb NOT NULL,
    signals bigint NOT NULL,
    effective_signals double precision NOT NULL,
    sharpe double precision NOT NULL,
    series jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    retired_at timestamp with time zone
);
INSERT INTO public.chronos_schema_version VALUES ('0008');
INSERT INTO public.export_audits OVERRIDING SYSTEM VALUE VALUES (1, 'kept_1d_v1', 'kept_1d_v1', 'sha256:96b0e71ae82419a207c17eae23800366261b9237c05409b8dde790c17a5720c1', 'full', 300, '2010-01-01 00:00:00+00', '2010-10-27 00:00:00+00', 'ccf03d500ee84c828d05340483119ae949bd002afaf61a8d685bc27e886e72d3', 'passed', '{"plan": {"tag": "kept_1d_v1", "kind": "first", "first_row": 0, "base_revision": 0}, "audit": {"mode": "full", "passed": true, "columns": [], "seconds": 0.111, "artifact": null, "examples": [], "rows_found": 300, "rows_stale": 0, "rows_missing": 0, "cells_foreign": 0, "failure_cases": [], "rows_compared": 300, "rows_expected": 300, "cells_compared": 3600, "rows_duplicate": 0, "cells_differing": 0, "rows_wrong_tags": 0, "columns_compared": 12}, "tolerance": {"columns": {}, "absolute": 0.0, "relative": 0.0}, "transport": "ilp-http", "known_rows": {"TGT_A": 300, "TGT_B": 300}, "filled_rows": 0, "columns_digest": "baf0d655363e7935315976067f438a32a789f8c84f9def10d9476a180c986f85"}', 0, '2026-11-27 20:53:45.690198+00', '2026-11-27 20:53:48.176486+00');
INSERT INTO public.indicator_datasets VALUES ('kept_1d_v1', 'kept', '1d', 'chronosflow', 'kept_1d_v1', 300, '2010-01-01 00:00:00+00', '2010-10-27 00:00:00+00', '2026-11-27 20:53:48.202628+00', 1, 'sha256:96b0e71ae82419a207c17eae23800366261b9237c05409b8dde790c17a5720c1', 'ccf03d500ee84c828d05340483119ae949bd002afaf61a8d685bc27e886e72d3', '[{"name": "Open", "role": "price", "questdb_column": "Open"}, {"name": "High", "role": "price", "questdb_column": "High"}, {"name": "Low", "role": "price", "questdb_column": "Low"}, {"name": "Close", "role": "price", "questdb_column": "Close"}, {"name": "FEAT_A", "role": "feature", "questdb_column": "FEAT_A"}, {"name": "FEAT_B", "role": "feature", "questdb_column": "FEAT_B"}, {"name": "FEAT_C", "role": "feature", "questdb_column": "FEAT_C"}, {"name": "TGT_A", "role": "target", "questdb_column": "TGT_A"}, {"name": "TGT_B", "role": "target", "questdb_column": "TGT_B"}]', '2026-11-27 20:53:48.202628+00');
INSERT INTO public.lfs_features VALUES ('962ddd2c-cb2f-5b0b-8d2e-e6c4cc9dd0d2', 'FEAT_A', 0, 189, 63, 0.25, 0.25, NULL);
INSERT INTO public.lfs_features VALUES ('962ddd2c-cb2f-5b0b-8d2e-e6c4cc9dd0d2', 'FEAT_B', 1, 79, 26.333333333333332, 1, 1, NULL);
INSERT INTO public.lfs_features VALUES ('962ddd2c-cb2f-5b0b-8d2e-e6c4cc9dd0d2', 'FEAT_C', 2, 118, 39.333333333333336, 1, 1, NULL);
INSERT INTO public.lfs_runs VALUES ('962ddd2c-cb2f-5b0b-8d2e-e6c4cc9dd0d2', 'kept_1d_v1', 'TGT_A', '["FEAT_A", "FEAT_B", "FEAT_C"]', '{"bins": 3, "seed": 7, "end_row": 300, "horizon": 1, "max_kept": 2, "start_row": 0, "iterations": 1, "beta_trials": 20, "permutation": "cyclic", "permutations": 3, "first_test_row": 120, "horizon_assumed": false}', 'completed', 'kept', NULL, '2026-11-27 20:53:57.425628+00', '2026-11-27 20:53:57.425628+00', '2026-11-27 20:53:57.90634+00', 472, '{"phase": "completed", "permutations": 3, "seconds_left": 0.0, "permutations_done": 3}', '{"cases": 300, "classes": [{"n": 100, "low": -3.571032883198983, "high": -0.40252284779018815}, {"n": 100, "low": -0.38912333136968413, "high": 0.47931555676690385}, {"n": 100, "low": 0.4910795235105192, "high": 2.8591404723642553}], "left_out": 0, "warnings": [{"code": "lfs_sees_test_rows", "message": "LFS sees rows 0..300; walk-forward tests of this dataset begin at row 120: features chosen on rows that are later tested are chosen with knowledge of the answer"}, {"code": "few_permutations", "message": "3 permutations: no p-value can be below 0.25; 99 give 0.01"}], "mean_kept": 1.2866666666666666, "distinct_sets": 6, "permutations_done": 3, "left_out_by_column": {}}', 'sha256:96b0e71ae82419a207c17eae23800366261b9237c05409b8dde790c17a5720c1', 'kept_1d_v1', 'ccf03d500ee84c828d05340483119ae949bd002afaf61a8d685bc27e886e72d3', 'lfs 1', 'cpu', false);
INSERT INTO public.simulation_runs VALUES ('7d78bc82-75c8-5295-ae71-97816cfbf4d0', 'f2a4b464-dd10-5747-a47b-53720e122ced', 'kept_1d_v1', 'dual', '{"fill": "decided at the close of a bar, filled at the open of the next", "mode": "dual", "seed": 7, "costs": {"commission_fixed": 0.0, "slippage_fraction": 0.0, "commission_fraction": 0.0}, "entry": {"order": "market", "valid_bars": 1, "limit_percent": 0.5}, "exits": {"max_bars": null, "sign_flip": true, "stop_loss": null, "take_profit": null, "signal_decay": 0.5, "cooldown_bars": 0, "trailing_stop": null, "opposite_threshold": true}, "prices": {"source": "columns", "columns": {"low": "Low", "high": "High", "open": "Open", "close": "Close"}, "checksum": "sha256:96b0e71ae82419a207c17eae23800366261b9237c05409b8dde790c17a5720c1", "content_hash": "sha256:c673edd82522f138799c3644f5f1a49b79bc77e8bb8a250bc25fcd379495bc27"}, "sizing": {"units": 1.0, "amount": 10000.0, "method": "fixed_fraction", "fraction": 1.0, "max_leverage": 1.0, "risk_fraction": 0.01}, "capital": 100000.0, "atr_bars": 14, "statistics": {"block_bars": null, "bootstraps": 0, "confidence": 0.95, "permutations": 0, "permutation_block_bars": null}, "code_version": "3"}', 'completed', '2026-11-27 20:53:54.804084+00', '2026-11-27 20:53:57.153894+00', '{"bars": 180, "seed": 7, "bases": {"sharpe": "per-bar returns of equity, n - 1, times sqrt(bars_per_year)", "buy_and_hold": "the starting capital held from the close of the first bar to that of the last, without costs", "exposure_pct": "share of bars with a position at their close", "profit_factor_bar": "return of equity at each bar over the bar before", "turnover_per_year": "value of all fills / mean equity / years of 365.25 days", "profit_factor_trade": "pnl of each trade, costs included"}, "calmar": -0.0987329214962111, "checks": [{"name": "accounting", "found": "trades -473.875865, equity -473.875865, allowed difference 0.00016", "passed": true, "examples": []}, {"name": "numbering", "found": "49 trades", "passed": true, "examples": []}, {"name": "no_overlap", "found": "0 of 49 trades break the rule", "passed": true, "examples": []}, {"name": "fill_after_decision", "found": "0 of 49 trades break the rule", "passed": true, "examples": []}, {"name": "beyond_threshold", "found": "0 of 49 trades break the rule", "passed": true, "examples": []}, {"name": "marks", "found": "largest difference 2.91e-11 over 180 bars, allowed 0.00016", "passed": true, "examples": []}, {"name": "stored", "found": "49 trades and 180 bars of equity as reckoned", "passed": true, "examples": []}], "prices": {"source": "columns", "columns": {"low": "Low", "high": "High", "open": "Open", "close": "Close"}, "checksum": "sha256:96b0e71ae82419a207c17eae23800366261b9237c05409b8dde790c17a5720c1", "content_hash": "sha256:c673edd82522f138799c3644f5f1a49b79bc77e8bb8a250bc25fcd379495bc27"}, "ruined": false, "sharpe": 0.019093582455037995, "capital": 100000.0, "sortino": 0.028353511781245837, "cagr_pct": -0.9645613254733725, "last_bar": 1288137600, "warnings": [], "win_rate": 0.46938775510204084, "first_bar": 1272672000, "intervals": null, "total_pnl": -473.8758652183205, "win_count": 23, "costs_paid": 0.0, "expectancy": -9.670936024863684, "trade_test": null, "long_trades": 24, "signal_test": null, "trade_count": 49, "buy_and_hold": {"calmar": -1.1513444683011262, "sharpe": -0.8369373330589776, "sortino": -1.1972382499368261, "cagr_pct": -18.154637128994853, "final_equity": 90648.48449100881, "bars_per_year": 365.25, "max_drawdown_pct": 15.768206326455058, "total_return_pct": -9.35151550899118, "max_drawdown_bars": 174, "profit_factor_bar": 0.8970355603356451, "profit_factor_bar_no_losses": false}, "exit_reasons": {"sign_flip": 12, "end_of_data": 1, "signal_decay": 15, "opposite_threshold": 21}, "exposure_pct": 51.666666666666664, "final_equity": 99526.1241347817, "short_trades": 25, "traded_value": 9855575.92887107, "avg_bars_held": 1.8979591836734695, "bars_per_year": 365.25, "avg_return_pct": 0.003236781277090608, "max_drawdown_pct": 9.769399212099561, "total_return_pct": -0.4738758652182984, "max_drawdown_bars": 119, "profit_factor_bar": 1.0033399666665284, "turnover_per_year": 199.6926033951061, "profit_factor_trade": 0.9846450446781287, "profit_factor_bar_no_losses": false, "profit_factor_trade_no_losses": false}', 'trading_sim_traces/simulation_id=7d78bc82-75c8-5295-ae71-97816cfbf4d0', '2026-11-27 20:53:54.804084+00');
INSERT INTO public.simulation_trade_buckets VALUES ('7d78bc82-75c8-5295-ae71-97816cfbf4d0', 'long', 24, 11, 0.9346070950988083, -0.02399254320059783, 9.948561347963414, 'by pnl of trades; drawdown of an account that grows by this side''s bars only', false);
INSERT INTO public.simulation_trade_buckets VALUES ('7d78bc82-75c8-5295-ae71-97816cfbf4d0', 'short', 25, 12, 1.0713426068421774, 0.02937693277567149, 5.120807888946843, 'by pnl of trades; drawdown of an account that grows by this side''s bars only', false);
INSERT INTO public.walkforward_folds VALUES ('f2a4b464-dd10-5747-a47b-53720e122ced', 0, 0, 120, 120, 150, 96, 30, 17, 1.1901778597667538, '{"data": "validation", "long": 0.32599232196807865, "short": -0.13412939906120294, "method": "percentile", "n_cases": 24}', '{"both": {"std": 1.2825561713425513, "mean": 0.6477849248195676, "median": 0.29454676104609023, "hit_rate": 0.6666666666666666, "n_signals": 12, "no_losses": false, "signal_sum": 7.773419097834811, "profit_factor": 5.5537755669925}, "long": {"std": 1.1194466340262337, "mean": 1.0042769215571783, "median": 1.0042769215571783, "hit_rate": 1.0, "n_signals": 2, "no_losses": true, "signal_sum": 2.0085538431143566, "profit_factor": null}, "short": {"std": 1.3554943824521373, "mean": 0.5764865254720455, "median": 0.210468812851412, "hit_rate": 0.6, "n_signals": 10, "no_losses": false, "signal_sum": 5.764865254720455, "profit_factor": 4.377137166226139}, "version": 2, "threshold_cases": {"long": 5, "short": 5}}', '2010-01-01 00:00:00+00', '2010-05-01 00:00:00+00', '2010-05-01 00:00:00+00', '2010-05-31 00:00:00+00', 'f806c9e8dad3be46f9d618e79b88de3f', 'walkforward/f8/f806c9e8dad3be46f9d618e79b88de3f.ubj', '{"rows": 30, "splits": [15, 15, 23], "shap_sum": [6.307846642564982, 1.5861194187309593, 4.136181926820427], "total_gain": [54.88031768798828, 24.16486358642578, 61.01364517211914]}', 'ba5a189c6ea8cf36aa5b0791f7f8e09c21d7101a3dea531d734bee211308ef27', 17057, '9abeef17fb53bfc587ef8c51e7162c44fa6addcae21b5d889ac797fd5ea6ba40', 704, '{"numpy": "2.4.6", "sources": "ad6b43de560c", "xgboost": "3.2.0", "training": "2", "selector all": "1", "learner xgboost": "1"}');
INSERT INTO public.walkforward_folds VALUES ('f2a4b464-dd10-5747-a47b-53720e122ced', 1, 30, 150, 150, 180, 96, 30, 16, 1.293212831815181, '{"data": "validation", "long": 0.16641824543476105, "short": -0.3497113466262817, "method": "percentile", "n_cases": 24}', '{"both": {"std": 1.0997351251797312, "mean": -0.2300128969877779, "median": -0.23084481898623124, "hit_rate": 0.4166666666666667, "n_signals": 12, "no_losses": false, "signal_sum": -2.760154763853335, "profit_factor": 0.6000069430661416}, "long": {"std": 1.0313126826769428, "mean": 0.11503387104191, "median": 0.2015398689212053, "hit_rate": 0.5555555555555556, "n_signals": 9, "no_losses": false, "signal_sum": 1.03530483937719, "profit_factor": 1.3334264543091419}, "short": {"std": 0.5043224211226258, "mean": -1.2651532010768416, "median": -1.1706318499266302, "hit_rate": 0.0, "n_signals": 3, "no_losses": false, "signal_sum": -3.795459603230525, "profit_factor": 0.0}, "version": 2, "threshold_cases": {"long": 5, "short": 5}}', '2010-01-31 00:00:00+00', '2010-05-31 00:00:00+00', '2010-05-31 00:00:00+00', '2010-06-30 00:00:00+00', '76c7d62d8c6d52f18cda651436b1950e', 'walkforward/76/76c7d62d8c6d52f18cda651436b1950e.ubj', '{"rows": 30, "splits": [18, 16, 17], "shap_sum": [6.077355481684208, 3.176200196146965, 1.930128075182438], "total_gain": [83.94139099121094, 36.74154281616211, 34.517608642578125]}', 'e461864e3058e3ad656f443c38612931db10f8a7c6abcd902ec9e8cac5f11376', 16232, 'abfa46eda6d7123027849a878f908523b006735fa88503fefe1438878da17f5f', 704, '{"numpy": "2.4.6", "sources": "ad6b43de560c", "xgboost": "3.2.0", "training": "2", "selector all": "1", "learner xgboost": "1"}');
INSERT INTO public.walkforward_folds VALUES ('f2a4b464-dd10-5747-a47b-53720e122ced', 2, 60, 180, 180, 210, 96, 30, 0, 1.1775155640592059, '{"data": "validation", "long": -0.07972549647092819, "short": -0.07972549647092819, "method": "percentile", "n_cases": 24}', '{"both": {"std": 0.45891682656855143, "mean": 0.5958123934177761, "median": 0.791158151916767, "hit_rate": 1.0, "n_signals": 3, "no_losses": true, "signal_sum": 1.7874371802533284, "profit_factor": null}, "long": {"std": 0.60329873145083, "mean": 0.49813951416828073, "median": 0.49813951416828073, "hit_rate": 1.0, "n_signals": 2, "no_losses": true, "signal_sum": 0.9962790283365615, "profit_factor": null}, "notes": ["learned_nothing"], "short": {"std": null, "mean": 0.791158151916767, "median": 0.791158151916767, "hit_rate": 1.0, "n_signals": 1, "no_losses": true, "signal_sum": 0.791158151916767, "profit_factor": null}, "version": 2, "threshold_cases": {"long": 23, "short": 24}}', '2010-03-02 00:00:00+00', '2010-06-30 00:00:00+00', '2010-06-30 00:00:00+00', '2010-07-30 00:00:00+00', 'c21fb2cc505779d50b930d7e530eece3', 'walkforward/c2/c21fb2cc505779d50b930d7e530eece3.ubj', '{"rows": 30, "splits": [0, 3, 0], "shap_sum": [0.0, 0.42258757492527366, 0.0], "total_gain": [0.0, 11.224651336669922, 0.0]}', '7b26d3255ae2a90feeb4b4940baf607ba23e41b8e04fec9447ba88a878315652', 1927, '8ff0149be6f46642a2f6057527135084c1557eba8bcf53ffee4691c67d833c66', 704, '{"numpy": "2.4.6", "sources": "ad6b43de560c", "xgboost": "3.2.0", "training": "2", "selector all": "1", "learner xgboost": "1"}');
INSERT INTO public.walkforward_folds VALUES ('f2a4b464-dd10-5747-a47b-53720e122ced', 3, 90, 210, 210, 240, 96, 30, 2, 1.0192684862011674, '{"data": "validation", "long": 0.012997763277962858, "short": -0.0470786988735199, "method": "percentile", "n_cases": 24}', '{"both": {"std": 1.2451081642960444, "mean": -0.3902003252643845, "median": -0.4402137404576866, "hit_rate": 0.38461538461538464, "n_signals": 13, "no_losses": false, "signal_sum": -5.072604228436998, "profit_factor": 0.46414003441750223}, "long": {"std": 1.1390351885886434, "mean": 0.19577606634094175, "median": 0.32109621741488636, "hit_rate": 0.5714285714285714, "n_signals": 7, "no_losses": false, "signal_sum": 1.3704324643865922, "profit_factor": 1.5483232037761947}, "short": {"std": 1.059374541554202, "mean": -1.0738394488039316, "median": -1.171691893446933, "hit_rate": 0.16666666666666666, "n_signals": 6, "no_losses": false, "signal_sum": -6.44303669282359, "profit_factor": 0.07520271594808342}, "version": 2, "threshold_cases": {"long": 5, "short": 7}}', '2010-04-01 00:00:00+00', '2010-07-30 00:00:00+00', '2010-07-30 00:00:00+00', '2010-08-29 00:00:00+00', 'b20638abd788bcc76eb32371ddc4b933', 'walkforward/b2/b20638abd788bcc76eb32371ddc4b933.ubj', '{"rows": 30, "splits": [0, 7, 2], "shap_sum": [0.0, 0.9242700198665261, 0.45223950035870075], "total_gain": [0.0, 20.9250431060791, 6.336259365081787]}', '9c49b12d8328194375d0578d351e26c98f2ce6b9118f9e0a0e8f18c3c8f0a94c', 3715, '5c04498eae849ee53ec1babd5a7e8d076b787da71d14a92e1bf2ee316f8d367d', 704, '{"numpy": "2.4.6", "sources": "ad6b43de560c", "xgboost": "3.2.0", "training": "2", "selector all": "1", "learner xgboost": "1"}');
INSERT INTO public.walkforward_folds VALUES ('f2a4b464-dd10-5747-a47b-53720e122ced', 5, 150, 270, 270, 300, 96, 30, 0, 1.1275775782607558, '{"data": "validation", "long": 0.16472020745277405, "short": 0.12949176132678986, "method": "percentile", "n_cases": 24}', '{"both": {"std": 1.305087225807998, "mean": 0.2334332138841938, "median": 0.27621314667331276, "hit_rate": 0.5333333333333333, "n_signals": 30, "no_losses": false, "signal_sum": 7.002996416525814, "profit_factor": 1.567258743854929}, "long": {"std": 1.244827471253899, "mean": -0.06988250235205765, "median": -0.2834807510638314, "hit_rate": 0.47368421052631576, "n_signals": 19, "no_losses": false, "signal_sum": -1.3277675446890953, "profit_factor": 0.8753745454599225}, "notes": ["learned_nothing"], "short": {"std": 1.293611798848391, "mean": 0.7573421782922645, "median": 0.3048438269010904, "hit_rate": 0.6363636363636364, "n_signals": 11, "no_losses": false, "signal_sum": 8.33076396121491, "profit_factor": 5.925755479572791}, "version": 2, "threshold_cases": {"long": 16, "short": 8}}', '2010-05-31 00:00:00+00', '2010-09-28 00:00:00+00', '2010-09-28 00:00:00+00', '2010-10-28 00:00:00+00', 'cbacf52a6de9625e5488ffff2e5273fa', 'walkforward/cb/cbacf52a6de9625e5488ffff2e5273fa.ubj', '{"rows": 30, "splits": [0, 3, 0], "shap_sum": [0.0, 0.92986189131625, 0.0], "total_gain": [0.0, 12.308222770690918, 0.0]}', '0e4932f979032ce16143e911708796e7c79f104c58945d8324156d6d49e29c05', 1927, '389f8187645ab19ebc0ed98b0130bcc976cf081b6e4c7dcadb826ccf2f8e7807', 704, '{"numpy": "2.4.6", "sources": "ad6b43de560c", "xgboost": "3.2.0", "training": "2", "selector all": "1", "learner xgboost": "1"}');
INSERT INTO public.walkforward_folds VALUES ('f2a4b464-dd10-5747-a47b-53720e122ced', 4, 120, 240, 240, 270, 96, 30, 18, 0.9829798338708864, '{"data": "validation", "long": 0.44712909460067773, "short": -0.20024318993091578, "method": "percentile", "n_cases": 24}', '{"both": {"std": 1.188982623691857, "mean": 0.7986222559113, "median": 0.33148511948180415, "hit_rate": 0.6666666666666666, "n_signals": 6, "no_losses": false, "signal_sum": 4.7917335354678, "profit_factor": 12.102301664569243}, "long": {"std": 1.475142382972676, "mean": 0.8866957469369131, "median": 0.2604473911734202, "hit_rate": 0.6666666666666666, "n_signals": 3, "no_losses": false, "signal_sum": 2.660087240810739, "profit_factor": 16.465135472204302}, "short": {"std": 1.1553715112881702, "mean": 0.710548764885687, "median": 0.40252284779018815, "hit_rate": 0.6666666666666666, "n_signals": 3, "no_losses": false, "signal_sum": 2.131646294657061, "profit_factor": 9.211500597119635}, "version": 2, "threshold_cases": {"long": 5, "short": 5}}', '2010-05-01 00:00:00+00', '2010-08-29 00:00:00+00', '2010-08-29 00:00:00+00', '2010-09-28 00:00:00+00', 'f89a31e15e0b9b35ab8dcfa2c305a6af', 'walkforward/f8/f89a31e15e0b9b35ab8dcfa2c305a6af.ubj', '{"rows": 30, "splits": [20, 25, 11], "shap_sum": [3.668160917237401, 3.0249176658689976, 2.377237348817289], "total_gain": [81.1751480102539, 71.75115203857422, 29.018810272216797]}', 'e53f696fa47da28fec7c73a94ed84dc53258a889871ac4cac5db3238c84302f4', 17951, 'c67972f08cf88979679b1ee1a62f90fd7386fcb702a0508fa4b92519db05799c', 704, '{"numpy": "2.4.6", "sources": "ad6b43de560c", "xgboost": "3.2.0", "training": "2", "selector all": "1", "learner xgboost": "1"}');
INSERT INTO public.walkforward_runs VALUES ('f2a4b464-dd10-5747-a47b-53720e122ced', 'kept_1d_v1', 'TGT_A', '["FEAT_A", "FEAT_B", "FEAT_C"]', '{"eta": 0.1, "seed": 7, "gamma": 0.0, "rounds": 20, "learner": "xgboost", "max_bin": 256, "monotone": {}, "max_depth": 2, "objective": "auto", "reg_alpha": 0.0, "subsample": 0.8, "reg_lambda": 2.0, "huber_slope": 1.0, "early_stopping": 5, "quantile_alpha": 0.5, "colsample_bytree": 0.7, "min_child_weight": 1.0}', '{"gap": 0, "rows": 300, "step": 30, "test": 30, "train": 120, "tanh_k": 1.0, "window": "rolling", "horizon": 1, "end_fold": null, "identity": 2, "selector": {"select": "all"}, "start_fold": 0, "thresholds": {"data": "validation", "method": "percentile", "min_fraction": 0.1, "long_percentile": 80.0, "short_percentile": 20.0}, "folds_planned": 6, "weight_column": null, "initial_offset": 0, "horizon_assumed": false, "val_split_ratio": 0.8, "target_transform": "none", "weight_half_life": null}', 'completed', 'kept', '2026-11-27 20:53:53.569433+00', '2026-11-27 20:53:54.534467+00', 6284, '{"both": {"std": 1.2578053357466845, "mean": 0.1779319373393608, "median": 0.20712424219098918, "hit_rate": 0.5394736842105263, "n_signals": 76, "no_losses": false, "signal_sum": 13.522827237791422, "profit_factor": 1.4383305941263043}, "long": {"std": 1.1521449088824842, "mean": 0.16054499693657961, "median": 0.23657800331709664, "hit_rate": 0.5714285714285714, "n_signals": 42, "no_losses": false, "signal_sum": 6.742889871336344, "profit_factor": 1.4103903116494139}, "short": {"std": 1.3948197993065952, "mean": 0.19940992254279638, "median": -0.015098472003052532, "hit_rate": 0.5, "n_signals": 34, "no_losses": false, "signal_sum": 6.779937366455077, "profit_factor": 1.4701655995190877}, "learner": "xgboost", "warnings": [{"code": "learned_nothing", "message": "2 of 6 folds learned nothing (best iteration 0, or constant predictions)"}, {"code": "long_few_cases", "message": "the long threshold rests on fewer than 10 cases in 4 of 6 folds (least 5): raise thresholds.min_fraction"}, {"code": "short_few_cases", "message": "the short threshold rests on fewer than 10 cases in 5 of 6 folds (least 5): raise thresholds.min_fraction"}], "objective": "reg:squarederror", "bars_scored": 180, "samples_test": 180, "binary_target": false, "folds_planned": 6, "folds_present": 6, "samples_train": 576, "bars_predicted": 180, "metrics_version": 2, "threshold_cases": {"long": {"few": 4, "folds": 6, "least": 5, "median": 5.0}, "short": {"few": 5, "folds": 6, "least": 5, "median": 6.0}}, "feature_importance": {"FEAT_A": {"gain": 4.150884088480248, "shap": 0.08918535023048106, "splits": 53}, "FEAT_B": {"gain": 2.5668909515159717, "shap": 0.05591087092697206, "splits": 69}, "FEAT_C": {"gain": 2.469553272679167, "shap": 0.049421038062104745, "splits": 53}}, "folds_without_long": 0, "folds_without_short": 0, "best_iteration_median": 9.0, "folds_learned_nothing": 2}', '2026-11-27 20:53:53.569433+00', 'sha256:96b0e71ae82419a207c17eae23800366261b9237c05409b8dde790c17a5720c1', 'kept_1d_v1', 'ccf03d500ee84c828d05340483119ae949bd002afaf61a8d685bc27e886e72d3', 'training 2, learner xgboost 1, selector all 1, xgboost 3.2.0', 'cpu');
INSERT INTO public.walkforward_trials VALUES ('f2a4b464-dd10-5747-a47b-53720e122ced', 'kept_1d_v1', 'kept_1d', 'TGT_A', 'ccf03d500ee84c828d05340483119ae949bd002afaf61a8d685bc27e886e72d3', '{"device": "cpu", "walk_config": {"gap": 0, "rows": 300, "step": 30, "test": 30, "train": 120, "tanh_k": 1.0, "window": "rolling", "horizon": 1, "end_fold": null, "identity": 2, "selector": {"select": "all"}, "start_fold": 0, "thresholds": {"data": "validation", "method": "percentile", "min_fraction": 0.1, "long_percentile": 80.0, "short_percentile": 20.0}, "folds_planned": 6, "weight_column": null, "initial_offset": 0, "horizon_assumed": false, "val_split_ratio": 0.8, "target_transform": "none", "weight_half_life": null}, "code_version": "training 2, learner xgboost 1, selector all 1, xgboost 3.2.0", "feature_columns": ["FEAT_A", "FEAT_B", "FEAT_C"], "hyperparameters": {"eta": 0.1, "seed": 7, "gamma": 0.0, "rounds": 20, "learner": "xgboost", "max_bin": 256, "monotone": {}, "max_depth": 2, "objective": "auto", "reg_alpha": 0.0, "subsample": 0.8, "reg_lambda": 2.0, "huber_slope": 1.0, "early_stopping": 5, "quantile_alpha": 0.5, "colsample_bytree": 0.7, "min_child_weight": 1.0}}', 76, 76, 0.1414622217624265, '{"sums": [0.5823949481926007, 0.0, 0.0, 0.37638490663140733, 1.7958452276535835, 0.0, 0.43131700851396526, 0.0, 0.0, 2.89088110196684, 3.146361845508929, 0.0, 0.0, -0.38072751838100893, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.04455271907141667, -0.07474966307752173, -0.614212920802037, 0.0, 0.0, -0.6373371729041364, 0.21270861546077308, -0.38912333136968413, 0.2787228788576942, 0.0, 0.0, 0.0, 0.0, 0.0, -0.8147790807628927, 0.0, 0.0, 0.8330822835548652, 0.0, 0.0, 0.0, 1.3181146615968162, 0.0, 0.0, 0.2015398689212053, 0.0, -1.5965213295023644, -0.07256630660277835, 0.0, 0.0, -1.1706318499266302, 0.0, 1.5088922295352538, 0.0, 0.0, -1.8100486725410019, -1.046836115613818, 0.0, 0.0, 0.0, 0.0, 0.0, 0.791158151916767, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9247361382584045, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.07154289007815695, 0.0, 0.0, 0.0, 0.32109621741488636, 0.0, -1.8356260974565468, 0.0, 0.0, -0.21881858847135963, 0.8006364565440487, 1.740711531643945, 0.0, 0.0, 0.0, 1.0073033615345919, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5854361823348073, -2.347748276962634, -1.6950603319447128, -0.705487057100425, 0.523935208947143, -1.6378967297934408, 0.0, 0.0, 0.0, 0.0, -0.4402137404576866, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.571645277303423, 0.0, 0.0, 0.0, 0.0, 1.9887162301158665, 0.0, -0.2595927832489938, 0.0, 0.0, 0.2604473911734202, 0.0, 0.0, 0.0, 0.0, -0.17200542766610416, 0.40252284779018815, 0.0, 0.0, 1.427160396898002, 0.34404276052438737, 0.7358664689822375, 0.8097347378290721, -0.5358189769137829, -1.8477596460738905, -1.4443189012750697, 2.0228626318308494, -0.9634239729614216, 1.457473612778565, 1.1353550628297118, 1.0592129372933936, 0.6246399772263566, -0.7688535040394937, -0.420663216873567, 1.0214694375979985, -0.1494423796961709, 0.3048438269010904, 0.24758246644553505, 1.1480104186676854, 3.571032883198983, 1.4843147671654866, -1.1559129713938425, -0.9126033397179382, -0.2834807510638314, 1.9547240801595591, -0.6323981388437286, -0.4454705894220982, -2.6446114416474384, -0.14057221988082563], "first": 14732, "width_seconds": 86400}', '2026-11-27 20:53:53.569433+00', NULL);
SELECT pg_catalog.setval('public.export_audits_audit_id_seq', 1, true);
ALTER TABLE ONLY public.chronos_schema_version
    ADD CONSTRAINT chronos_schema_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.export_audits
    ADD CONSTRAINT export_audits_pkey PRIMARY KEY (audit_id);
ALTER TABLE ONLY public.indicator_datasets
    ADD CONSTRAINT indicator_datasets_pkey PRIMARY KEY (dataset_id);
ALTER TABLE ONLY public.lfs_features
    ADD CONSTRAINT lfs_features_pkey PRIMARY KEY (lfs_id, feature);
ALTER TABLE ONLY public.lfs_runs
    ADD CONSTRAINT lfs_runs_pkey PRIMARY KEY (lfs_id);
ALTER TABLE ONLY public.simulation_runs
    ADD CONSTRAINT simulation_runs_pkey PRIMARY KEY (simulation_id);
ALTER TABLE ONLY public.simulation_trade_buckets
    ADD CONSTRAINT simulation_trade_buckets_pkey PRIMARY KEY (simulation_id, side);
ALTER TABLE ONLY public.sweep_runs
    ADD CONSTRAINT sweep_runs_pkey PRIMARY KEY (sweep_id, run_id);
ALTER TABLE ONLY public.sweeps
    ADD CONSTRAINT sweeps_pkey PRIMARY KEY (sweep_id);
ALTER TABLE ONLY public.walkforward_folds
    ADD CONSTRAINT walkforward_folds_pkey PRIMARY KEY (run_id, fold_number);
ALTER TABLE ONLY public.walkforward_runs
    ADD CONSTRAINT walkforward_runs_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY public.walkforward_trials
    ADD CONSTRAINT walkforward_trials_pkey PRIMARY KEY (run_id);
CREATE INDEX export_audits_dataset ON public.export_audits USING btree (dataset_id, audit_id DESC);
CREATE INDEX export_audits_tag ON public.export_audits USING btree (questdb_tag, audit_id DESC);
CREATE INDEX lfs_runs_dataset_created ON public.lfs_runs USING btree (dataset_id, created_at DESC);
CREATE INDEX simulation_runs_created ON public.simulation_runs USING btree (created_at, simulation_id);
CREATE INDEX simulation_runs_max_drawdown_pct ON public.simulation_runs USING btree ((((summary_metrics ->> 'max_drawdown_pct'::text))::double precision), simulation_id);
CREATE INDEX simulation_runs_run_created ON public.simulation_runs USING btree (run_id, created_at DESC);
CREATE INDEX simulation_runs_sharpe ON public.simulation_runs USING btree ((((summary_metrics ->> 'sharpe'::text))::double precision), simulation_id);
CREATE INDEX simulation_runs_status ON public.simulation_runs USING btree (status);
CREATE INDEX simulation_runs_total_return_pct ON public.simulation_runs USING btree ((((summary_metrics ->> 'total_return_pct'::text))::double precision), simulation_id);
CREATE INDEX simulation_runs_trade_count ON public.simulation_runs USING btree ((((summary_metrics ->> 'trade_count'::text))::double precision), simulation_id);
CREATE INDEX sweep_runs_run ON public.sweep_runs USING btree (run_id);
CREATE INDEX sweeps_dataset_created ON public.sweeps USING btree (dataset_id, created_at DESC);
CREATE INDEX walkforward_folds_key ON public.walkforward_folds USING btree (fold_key);
CREATE INDEX walkforward_folds_run ON public.walkforward_folds USING btree (run_id);
CREATE INDEX walkforward_runs_created ON public.walkforward_runs USING btree (created_at, run_id);
CREATE INDEX walkforward_runs_dataset_created ON public.walkforward_runs USING btree (dataset_id, created_at DESC);
CREATE INDEX walkforward_runs_duration ON public.walkforward_runs USING btree (((duration_ms)::double precision), run_id);
CREATE INDEX walkforward_runs_profit_factor ON public.walkforward_runs USING btree ((((summary_metrics #>> '{both,profit_factor}'::text[]))::double precision), run_id);
CREATE INDEX walkforward_runs_signal_sum ON public.walkforward_runs USING btree ((((summary_metrics #>> '{both,signal_sum}'::text[]))::double precision), run_id);
CREATE INDEX walkforward_runs_status ON public.walkforward_runs USING btree (status);
CREATE INDEX walkforward_trials_lineage ON public.walkforward_trials USING btree (lineage, target_column, created_at DESC);
ALTER TABLE ONLY public.lfs_features
    ADD CONSTRAINT lfs_features_lfs_id_fkey FOREIGN KEY (lfs_id) REFERENCES public.lfs_runs(lfs_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.lfs_runs
    ADD CONSTRAINT lfs_runs_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.indicator_datasets(dataset_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.simulation_runs
    ADD CONSTRAINT simulation_runs_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.indicator_datasets(dataset_id);
ALTER TABLE ONLY public.simulation_runs
    ADD CONSTRAINT simulation_runs_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.walkforward_runs(run_id);
ALTER TABLE ONLY public.simulation_trade_buckets
    ADD CONSTRAINT simulation_trade_buckets_simulation_id_fkey FOREIGN KEY (simulation_id) REFERENCES public.simulation_runs(simulation_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sweep_runs
    ADD CONSTRAINT sweep_runs_sweep_id_fkey FOREIGN KEY (sweep_id) REFERENCES public.sweeps(sweep_id);
ALTER TABLE ONLY public.walkforward_folds
    ADD CONSTRAINT walkforward_folds_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.walkforward_runs(run_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.walkforward_runs
    ADD CONSTRAINT walkforward_runs_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.indicator_datasets(dataset_id);
