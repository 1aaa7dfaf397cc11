"""A metastore as tables of Spark.

    aletheia_like.integrations.spark.register(spark)
    spark.read.format("aletheia").option("project", "p").option("table", "runs").load()

Spark runs this in processes of its own, on any machine, so the package has to be installed where
the executors are, and the store has to be within their reach.
"""

from __future__ import annotations

from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.extras import import_extra

FORMAT = "aletheia"

_PUSHDOWN = "spark.sql.python.filterPushdown.enabled"
_SAFE_SINCE = 5


def register(spark: Any, *, push_filters: bool | None = None) -> None:
    """Let a session read with `spark.read.format("aletheia")`.

    Args:
        spark: A SparkSession of Spark 4 or newer.
        push_filters: Let filters on `experiment` and `run_id` decide what is read. By default
            where Spark does so rightly: before Spark 5 all questions to one DataFrame see the
            filters of the latest, so there whoever says True loads anew for each question. The
            options `experiment` and `run_id` are always safe.

    Raises:
        MissingExtraError: pyspark is missing, or older than 4.
        InvalidValueError: It is no session.
    """
    for module in ("pyspark.sql.datasource", "pyarrow"):
        import_extra(module, "spark")
    from aletheia_like.integrations import sparksource

    if not hasattr(spark, "dataSource"):
        message = f"a SparkSession is needed to register in, not {spark!r}"
        raise InvalidValueError(message)
    if push_filters is None:
        push_filters = int(spark.version.partition(".")[0]) >= _SAFE_SINCE
    if push_filters:
        # Off by default, and Spark refuses sources that would use it then.
        spark.conf.set(_PUSHDOWN, "true")
        spark.dataSource.register(sparksource.FilteredDataSource)
    else:
        spark.dataSource.register(sparksource.AletheiaDataSource)
