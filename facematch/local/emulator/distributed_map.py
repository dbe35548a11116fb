"""What the emulator's Distributed Map lacks, as AWS documents it.

In JSONata the emulator evaluates neither the reader's Arguments (so a computed prefix lists
nothing, and succeeds) nor the ItemSelector nor the Output, reads no S3 Inventory manifest, and
keeps every result although a ResultWriter is there (AWS Step Functions Developer Guide, Map state
in Distributed mode; Map state input and output fields).

Results are written nowhere: the state's result says where AWS would have put them. An ItemBatcher
is refused, since the emulator would ignore it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import TYPE_CHECKING, Any, Final

from facematch.local.emulator.private_names import functions

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.services.stepfunctions",
        "Distributed Map",
        {
            "_run_distributed_map": (
                "state_def",
                "raw_input",
                "effective",
                "iterator",
                "execution",
                "ctx",
            ),
            "_read_map_items": ("reader", "effective", "ctx"),
            "_state_query_language": ("state_def", "ctx"),
            "_apply_jsonata_template": ("value", "raw_input", "ctx", "result", "error_output"),
            "_apply_jsonata_output": (
                "state_def",
                "raw_input",
                "ctx",
                "result",
                "error_output",
                "default",
            ),
            "_list_map_runs": ("data",),
            "_ExecutionError": ("error", "cause"),
        },
    ),
    *functions(
        "ministack.services.s3",
        "reads an inventory",
        {
            "_get_object_data": ("bucket_name", "key", "version_id"),
        },
    ),
)


class DistributedMap:
    """Adds to MiniStack's module of Step Functions.

    Parameters
    ----------
    stepfunctions, s3
        The modules; `PRIVATE_NAMES` lists what is used of them.
    """

    def __init__(self, stepfunctions: Any, s3: Any) -> None:  # noqa: ANN401 - modules
        self._sf = stepfunctions
        self._s3 = s3
        self._run = stepfunctions._run_distributed_map

    def install(self) -> None:
        """Put it in, before anything is served."""
        self._sf._run_distributed_map = self.run

    def run(  # noqa: PLR0917 - the emulator's own parameters
        self,
        state: dict[str, Any],
        raw_input: Any,  # noqa: ANN401
        effective: Any,  # noqa: ANN401
        iterator: dict[str, Any],
        execution: dict[str, Any],
        context: dict[str, Any],
    ) -> tuple[Any, str | None]:
        """Read the items, select from each, let the emulator run the children, make the output."""
        sf = self._sf
        if sf._state_query_language(state, context) != "JSONata":
            result: tuple[Any, str | None] = self._run(
                state, raw_input, effective, iterator, execution, context
            )
            return result
        if "ItemBatcher" in state:
            raise sf._ExecutionError(
                "States.Runtime", "The local cloud's Distributed Map has no ItemBatcher."
            )
        items = list(self._selected(state, raw_input, context))
        bare = {k: v for k, v in state.items() if k not in {"ItemReader", "ItemSelector"}}
        results, following = self._run(bare, raw_input, items, iterator, execution, context)
        if "Resource" in state.get("ResultWriter", {}):
            results = self._written(state["ResultWriter"], execution)
        return (
            sf._apply_jsonata_output(state, raw_input, context, result=results, default=results),
            following,
        )

    def _selected(
        self,
        state: dict[str, Any],
        raw_input: Any,  # noqa: ANN401
        context: dict[str, Any],
    ) -> Iterator[Any]:
        items = self._items(state["ItemReader"], raw_input, context)
        selector = state.get("ItemSelector")
        for index, item in enumerate(items):
            of_item = {**context, "Map": {"Item": {"Index": index, "Value": item}}}
            yield (
                self._sf._apply_jsonata_template(selector, raw_input, of_item) if selector else item
            )

    def _items(
        self,
        reader: dict[str, Any],
        raw_input: Any,  # noqa: ANN401
        context: dict[str, Any],
    ) -> Any:  # noqa: ANN401
        arguments = self._sf._apply_jsonata_template(reader["Arguments"], raw_input, context)
        if reader.get("ReaderConfig", {}).get("InputType") == "MANIFEST":
            return self.inventory(arguments["Bucket"], arguments["Key"])
        return self._sf._read_map_items({**reader, "Arguments": arguments}, raw_input, context)

    def inventory(self, bucket: str, key: str) -> Iterator[dict[str, str]]:
        """The lines of an S3 Inventory in CSV, by the columns that its manifest names.

        As they stand there: keys are URL-encoded (Amazon S3 User Guide, Amazon S3 Inventory list).
        """
        manifest = json.loads(self._object(bucket, key))
        if manifest.get("fileFormat") != "CSV":
            raise self._sf._ExecutionError(
                "States.ItemReaderFailed", "An inventory in CSV is needed."
            )
        columns = [column.strip() for column in manifest["fileSchema"].split(",")]
        where = manifest["destinationBucket"].removeprefix("arn:aws:s3:::")
        for file in manifest["files"]:
            text = gzip.decompress(self._object(where, file["key"])).decode()
            for row in csv.reader(io.StringIO(text)):
                yield dict(zip(columns, row, strict=True))

    def _object(self, bucket: str, key: str) -> bytes:
        body: bytes | None = self._s3._get_object_data(bucket, key)
        if body is None:
            raise self._sf._ExecutionError(
                "States.ItemReaderFailed", f"There is no object {key!r} in the bucket {bucket}."
            )
        return body

    def _written(self, writer: dict[str, Any], execution: dict[str, Any]) -> dict[str, Any]:
        answer = self._sf._list_map_runs({"executionArn": execution["executionArn"]})
        arn = json.loads(answer[2])["mapRuns"][-1]["mapRunArn"]
        arguments = writer["Arguments"]
        return {
            "MapRunArn": arn,
            "ResultWriterDetails": {
                "Bucket": arguments["Bucket"],
                "Key": f"{arguments['Prefix'].rstrip('/')}/{arn.rpartition(':')[2]}/manifest.json",
            },
        }
