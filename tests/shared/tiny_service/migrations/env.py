from shared.migrate import run_migrations
from tests.shared.conftest import METADATA

run_migrations(METADATA)
