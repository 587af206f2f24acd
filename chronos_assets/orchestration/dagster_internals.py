"""What Dagster keeps private and this product needs: the one module that imports it.

pyproject.toml pins the minor release of Dagster because of these names. An upgrade starts here: what moved or went away fails this import.
"""

from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.definitions.executor_definition import ExecutorRequirement, multiple_process_executor_requirements
from dagster._core.definitions.external_asset import create_external_asset_from_source_asset
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.metadata import MarkdownMetadataValue, TableMetadataValue
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.errors import DagsterUserCodeProcessError, DagsterUserCodeUnreachableError
from dagster._core.events import AssetMaterializationPlannedData, RunFailureReason
from dagster._core.execution.api import execute_run_iterator
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.base import Executor
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.executor.multiprocess import MultiprocessExecutor
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, ConcurrencyLimitsTable
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.tags import BACKFILL_ID_TAG, WILL_RETRY_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget, WorkspaceFileTarget, WorkspaceLoadTarget
from dagster._serdes import ConfigurableClassData
from dagster._utils.log import configure_loggers
from dagster._utils.schedules import schedule_execution_time_iterator
from dagster_shared.error import SerializableErrorInfo

__all__ = [
    "BACKFILL_ID_TAG",
    "DATA_VERSION_TAG",
    "WILL_RETRY_TAG",
    "AssetCheckExecutionsTable",
    "AssetMaterializationPlannedData",
    "CheckRunHealthResult",
    "ConcurrencyLimitsTable",
    "ConfigurableClassData",
    "DagsterUserCodeProcessError",
    "DagsterUserCodeUnreachableError",
    "DefaultRunLauncher",
    "Executor",
    "ExecutorRequirement",
    "InMemoryJob",
    "InProcessExecutor",
    "InstanceRef",
    "InstigatorStatus",
    "InstigatorType",
    "LaunchRunContext",
    "LoadableTargetOrigin",
    "LocalArtifactStorage",
    "LocalComputeLogManager",
    "ManagedGrpcPythonEnvCodeLocationOrigin",
    "MarkdownMetadataValue",
    "ModuleTarget",
    "MultiprocessExecutor",
    "ProxyServerManager",
    "ReconstructableJob",
    "ReconstructableRepository",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "RetryMode",
    "RunFailureReason",
    "SerializableErrorInfo",
    "TableMetadataValue",
    "UnresolvedAssetJobDefinition",
    "WorkerStatus",
    "WorkspaceFileTarget",
    "WorkspaceLoadTarget",
    "WorkspaceProcessContext",
    "configure_loggers",
    "create_external_asset_from_source_asset",
    "execute_run_iterator",
    "multiple_process_executor_requirements",
    "schedule_execution_time_iterator",
]
