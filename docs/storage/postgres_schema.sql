-- The registry's schema, as the migrations leave it. Written by `python3 bootstrap.py run python .ci/pages.py`; do not edit.

-- `chronos` makes it by itself (storage/migrations); this file is for reading. POSTGRES.md says what each table and index is for.

CREATE TABLE export_audits (
    audit_id BIGINT GENERATED ALWAYS AS IDENTITY,
    dataset_id TEXT NOT NULL,
    questdb_tag TEXT NOT NULL,
    checksum TEXT NOT NULL,
    mode TEXT NOT NULL,
    row_count BIGINT NOT NULL,
    first_bar_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    last_bar_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash TEXT NOT NULL,
    verdict TEXT NOT NULL,
    report JSONB DEFAULT '{}'::jsonb NOT NULL,
    base_revision BIGINT DEFAULT 0 NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    completed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (audit_id),
    CONSTRAINT export_audits_mode_check CHECK (mode IN ('full', 'sample')),
    CONSTRAINT export_audits_row_count_check CHECK (row_count >= 0),
    CONSTRAINT export_audits_verdict_check CHECK (verdict IN ('running', 'passed', 'failed')),
    CONSTRAINT export_audits_completed_check CHECK ((verdict = 'running') = (completed_at IS NULL))
);

CREATE INDEX export_audits_dataset ON export_audits (dataset_id, audit_id DESC);

CREATE INDEX export_audits_tag ON export_audits (questdb_tag, audit_id DESC);

CREATE TABLE indicator_datasets (
    dataset_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    granularity TEXT NOT NULL,
    source TEXT NOT NULL,
    questdb_tag TEXT NOT NULL,
    row_count BIGINT NOT NULL,
    first_bar_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    last_bar_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    revision BIGINT DEFAULT 1 NOT NULL,
    checksum TEXT,
    content_hash TEXT,
    columns JSONB DEFAULT '[]'::jsonb NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (dataset_id),
    CONSTRAINT indicator_datasets_revision_check CHECK (revision >= 1),
    CONSTRAINT indicator_datasets_row_count_check CHECK (row_count >= 0),
    CONSTRAINT indicator_datasets_range_check CHECK (first_bar_ts <= last_bar_ts)
);

CREATE TABLE nights (
    night TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    completed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    document JSONB NOT NULL,
    PRIMARY KEY (night)
);

CREATE INDEX nights_completed ON nights (completed_at DESC);

CREATE TABLE sweeps (
    sweep_id UUID NOT NULL,
    dataset_id TEXT NOT NULL,
    target TEXT NOT NULL,
    grid JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (sweep_id)
);

CREATE INDEX sweeps_dataset_created ON sweeps (dataset_id, created_at DESC);

CREATE TABLE walkforward_trials (
    run_id UUID NOT NULL,
    dataset_id TEXT NOT NULL,
    lineage TEXT NOT NULL,
    target_column TEXT NOT NULL,
    content_hash TEXT,
    request JSONB NOT NULL,
    signals BIGINT NOT NULL,
    effective_signals DOUBLE PRECISION NOT NULL,
    sharpe DOUBLE PRECISION NOT NULL,
    series JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    retired_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (run_id)
);

CREATE INDEX walkforward_trials_lineage ON walkforward_trials (lineage, target_column, created_at DESC);

CREATE TABLE lfs_runs (
    lfs_id UUID NOT NULL,
    dataset_id TEXT NOT NULL,
    target_column TEXT NOT NULL,
    feature_columns JSONB NOT NULL,
    config JSONB NOT NULL,
    status TEXT NOT NULL,
    requested_by TEXT,
    dagster_run_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    duration_ms BIGINT,
    progress JSONB,
    summary_metrics JSONB,
    dataset_checksum TEXT,
    questdb_tag TEXT,
    content_hash TEXT,
    code_version TEXT,
    device TEXT,
    cancel_requested BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (lfs_id),
    CONSTRAINT lfs_runs_status_check CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    CONSTRAINT lfs_runs_dataset_id_fkey FOREIGN KEY(dataset_id) REFERENCES indicator_datasets (dataset_id) ON DELETE CASCADE
);

CREATE INDEX lfs_runs_dataset_created ON lfs_runs (dataset_id, created_at DESC);

CREATE TABLE sweep_runs (
    sweep_id UUID NOT NULL,
    run_id UUID NOT NULL,
    changes JSONB NOT NULL,
    PRIMARY KEY (sweep_id, run_id),
    CONSTRAINT sweep_runs_sweep_id_fkey FOREIGN KEY(sweep_id) REFERENCES sweeps (sweep_id)
);

CREATE INDEX sweep_runs_run ON sweep_runs (run_id);

CREATE TABLE walkforward_runs (
    run_id UUID NOT NULL,
    dataset_id TEXT NOT NULL,
    target_column TEXT NOT NULL,
    feature_columns JSONB NOT NULL,
    hyperparameters JSONB NOT NULL,
    walk_config JSONB NOT NULL,
    status TEXT NOT NULL,
    requested_by TEXT,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    duration_ms BIGINT,
    summary_metrics JSONB,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    dataset_checksum TEXT,
    questdb_tag TEXT,
    content_hash TEXT,
    code_version TEXT,
    device TEXT,
    pinned_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (run_id),
    CONSTRAINT walkforward_runs_status_check CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    CONSTRAINT walkforward_runs_dataset_id_fkey FOREIGN KEY(dataset_id) REFERENCES indicator_datasets (dataset_id)
);

CREATE INDEX walkforward_runs_created ON walkforward_runs (created_at, run_id);

CREATE INDEX walkforward_runs_dataset_created ON walkforward_runs (dataset_id, created_at DESC);

CREATE INDEX walkforward_runs_duration ON walkforward_runs ((duration_ms::double precision), run_id);

CREATE INDEX walkforward_runs_profit_factor ON walkforward_runs (((summary_metrics #>> '{both,profit_factor}')::double precision), run_id);

CREATE INDEX walkforward_runs_signal_sum ON walkforward_runs (((summary_metrics #>> '{both,signal_sum}')::double precision), run_id);

CREATE INDEX walkforward_runs_status ON walkforward_runs (status);

CREATE TABLE lfs_features (
    lfs_id UUID NOT NULL,
    feature TEXT NOT NULL,
    feature_no BIGINT NOT NULL,
    selected_count BIGINT,
    pct DOUBLE PRECISION,
    p_solo DOUBLE PRECISION,
    p_unbiased DOUBLE PRECISION,
    excluded TEXT,
    PRIMARY KEY (lfs_id, feature),
    CONSTRAINT lfs_features_lfs_id_fkey FOREIGN KEY(lfs_id) REFERENCES lfs_runs (lfs_id) ON DELETE CASCADE
);

CREATE TABLE models (
    model_id UUID NOT NULL,
    dataset_id TEXT NOT NULL,
    run_id UUID,
    profile TEXT,
    fold JSONB NOT NULL,
    thresholds JSONB NOT NULL,
    train_start_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    train_end_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    valid_from_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    valid_until_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    sha256 TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    simulation_ids JSONB DEFAULT '[]'::jsonb NOT NULL,
    description JSONB NOT NULL,
    backtest JSONB NOT NULL,
    status TEXT NOT NULL,
    requested_by TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    retired_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (model_id),
    CONSTRAINT models_status_check CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    CONSTRAINT models_dataset_id_fkey FOREIGN KEY(dataset_id) REFERENCES indicator_datasets (dataset_id) ON DELETE CASCADE,
    CONSTRAINT models_run_id_fkey FOREIGN KEY(run_id) REFERENCES walkforward_runs (run_id) ON DELETE SET NULL
);

CREATE INDEX models_dataset_created ON models (dataset_id, created_at DESC);

CREATE INDEX models_run ON models (run_id);

CREATE TABLE simulation_runs (
    simulation_id UUID NOT NULL,
    run_id UUID NOT NULL,
    dataset_id TEXT NOT NULL,
    mode TEXT NOT NULL,
    config JSONB NOT NULL,
    status TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    summary_metrics JSONB,
    questdb_namespace TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (simulation_id),
    CONSTRAINT simulation_runs_status_check CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    CONSTRAINT simulation_runs_mode_check CHECK (mode IN ('long', 'short', 'dual')),
    CONSTRAINT simulation_runs_run_id_fkey FOREIGN KEY(run_id) REFERENCES walkforward_runs (run_id),
    CONSTRAINT simulation_runs_dataset_id_fkey FOREIGN KEY(dataset_id) REFERENCES indicator_datasets (dataset_id)
);

CREATE INDEX simulation_runs_created ON simulation_runs (created_at, simulation_id);

CREATE INDEX simulation_runs_max_drawdown_pct ON simulation_runs (((summary_metrics ->> 'max_drawdown_pct')::double precision), simulation_id);

CREATE INDEX simulation_runs_run_created ON simulation_runs (run_id, created_at DESC);

CREATE INDEX simulation_runs_sharpe ON simulation_runs (((summary_metrics ->> 'sharpe')::double precision), simulation_id);

CREATE INDEX simulation_runs_status ON simulation_runs (status);

CREATE INDEX simulation_runs_total_return_pct ON simulation_runs (((summary_metrics ->> 'total_return_pct')::double precision), simulation_id);

CREATE INDEX simulation_runs_trade_count ON simulation_runs (((summary_metrics ->> 'trade_count')::double precision), simulation_id);

CREATE TABLE walkforward_folds (
    run_id UUID NOT NULL,
    fold_number BIGINT NOT NULL,
    train_start_idx BIGINT NOT NULL,
    train_end_idx BIGINT NOT NULL,
    test_start_idx BIGINT NOT NULL,
    test_end_idx BIGINT NOT NULL,
    samples_train BIGINT NOT NULL,
    samples_test BIGINT NOT NULL,
    best_iteration BIGINT,
    best_score DOUBLE PRECISION,
    thresholds JSONB,
    metrics JSONB,
    train_start_ts TIMESTAMP WITH TIME ZONE,
    train_end_ts TIMESTAMP WITH TIME ZONE,
    test_start_ts TIMESTAMP WITH TIME ZONE,
    test_end_ts TIMESTAMP WITH TIME ZONE,
    fold_key TEXT,
    artifact TEXT,
    importance JSONB,
    artifact_sha256 TEXT,
    artifact_bytes BIGINT,
    validation_sha256 TEXT,
    validation_bytes BIGINT,
    versions JSONB,
    pack TEXT,
    PRIMARY KEY (run_id, fold_number),
    CONSTRAINT walkforward_folds_fold_number_check CHECK (fold_number >= 0),
    CONSTRAINT walkforward_folds_run_id_fkey FOREIGN KEY(run_id) REFERENCES walkforward_runs (run_id) ON DELETE CASCADE
);

CREATE INDEX walkforward_folds_key ON walkforward_folds (fold_key);

CREATE INDEX walkforward_folds_pack ON walkforward_folds (pack);

CREATE INDEX walkforward_folds_run ON walkforward_folds (run_id);

CREATE TABLE walkforward_run_profiles (
    dataset_id TEXT NOT NULL,
    profile TEXT NOT NULL,
    run_id UUID NOT NULL,
    requested_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (dataset_id, profile, run_id),
    CONSTRAINT walkforward_run_profiles_run_id_fkey FOREIGN KEY(run_id) REFERENCES walkforward_runs (run_id) ON DELETE CASCADE
);

CREATE INDEX walkforward_run_profiles_newest ON walkforward_run_profiles (dataset_id, profile, requested_at DESC);

CREATE INDEX walkforward_run_profiles_run ON walkforward_run_profiles (run_id);

CREATE TABLE model_aliases (
    change_id BIGINT GENERATED ALWAYS AS IDENTITY,
    dataset_id TEXT NOT NULL,
    name TEXT NOT NULL,
    model_id UUID NOT NULL,
    action TEXT NOT NULL,
    reason TEXT,
    changed_by TEXT,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (change_id),
    CONSTRAINT model_aliases_action_check CHECK (action IN ('promote', 'rollback')),
    CONSTRAINT model_aliases_dataset_id_fkey FOREIGN KEY(dataset_id) REFERENCES indicator_datasets (dataset_id) ON DELETE CASCADE,
    CONSTRAINT model_aliases_model_id_fkey FOREIGN KEY(model_id) REFERENCES models (model_id) ON DELETE CASCADE
);

CREATE INDEX model_aliases_newest ON model_aliases (dataset_id, name, change_id DESC);

CREATE TABLE simulation_trade_buckets (
    simulation_id UUID NOT NULL,
    side TEXT NOT NULL,
    trade_count BIGINT NOT NULL,
    win_count BIGINT NOT NULL,
    profit_factor DOUBLE PRECISION,
    avg_return_pct DOUBLE PRECISION,
    max_drawdown_pct DOUBLE PRECISION,
    notes TEXT,
    no_losses BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (simulation_id, side),
    CONSTRAINT simulation_trade_buckets_simulation_id_fkey FOREIGN KEY(simulation_id) REFERENCES simulation_runs (simulation_id) ON DELETE CASCADE
);
