"""A metastore as tables of Spark.

    aletheia_like.integrations.spark.register(spark)
    spark.read.format("aletheia").option("project", "p").option("table", "runs").load()

Spark runs this in processes of its own, on any machine, so the package has to be installed where
the executors are, and the store has to be within their reach.
"""

from __future__ import annotations

from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.metastore.tables import import_extra

FORMAT = "aletheia"

_PUSHDOWN = "spark.sql.python.filterPushdown.enabled"


def register(spark: Any) -> None:
    """Let a session read with `spark.read.format("aletheia")`.

    The session is set to push filters down to sources that are written in Python, for this is
    off by default.

    Args:
        spark: A SparkSession of Spark 4.

    Raises:
        MissingExtraError: pyspark is missing, or older than 4.
        InvalidValueError: It is no session.
    """
    for module in ("pyspark.sql.datasource", "pyarrow"):
        import_extra(module, "spark")
    from aletheia_like.integrations.sparksource import AletheiaDataSource

    if not hasattr(spark, "dataSource"):
        message = f"a SparkSession is needed to register in, not {spark!r}"
        raise InvalidValueError(message)
    spark.dataSource.register(AletheiaDataSource)
    spark.conf.set(_PUSHDOWN, "true")
