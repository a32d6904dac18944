"""The simulator must never be the bottleneck of those who are measured against it."""

import logging
import time
import tracemalloc

from local.simulators.apple.assets import Asset, AssetKey, HolderKind, ProductType, Quality
from tests.local.apple.apple_client import AppleBox, app_of, serials

ASSETS = 25
REQUESTS = 8
TASKS = ASSETS * 1000 * REQUESTS
HOLDERS = 100_000
BYTES_PER_HOLDER = 500  # 1,000,000 in less than 500 MB


async def test_associate_requests_of_25_by_1000_run_at_50000_tasks_a_second(apple: AppleBox) -> None:
    library = await apple.library(*(app_of(TASKS, str(number)) for number in range(ASSETS)))
    assets = [{"adamId": str(number)} for number in range(ASSETS)]
    begin = time.process_time()  # ours alone: others may want the processor too
    events = [await library.associate(serials(1000, start=1000 * part), *assets) for part in range(REQUESTS)]
    for event_id in events:
        assert (await library.outcome(event_id))["eventStatus"] == "COMPLETE"
    rate = TASKS / (time.process_time() - begin)
    logging.getLogger(__name__).info("%d tasks per second", rate)  # seen with --log-cli-level=info
    assert rate > 50_000


def test_a_million_licenses_fit_in_500_megabytes() -> None:
    key = AssetKey("1", Quality.STANDARD)
    asset = Asset(key, ProductType.APP, ("iOS",), device_assignable=True, revocable=True, total=HOLDERS)
    tracemalloc.start()
    for start in range(0, HOLDERS, 1000):
        asset.associate(HolderKind.SERIAL, serials(1000, start))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert asset.assigned == HOLDERS
    assert used < HOLDERS * BYTES_PER_HOLDER
