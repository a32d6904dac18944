"""Apache Kafka's jars, fetched once by Maven into the project's own cache folder."""

import fcntl
import shutil
import subprocess
from pathlib import Path

KAFKA_VERSION = "4.3.1"
FETCH_SECONDS = 600

# The logger is ours to choose: Kafka brings only its interface, and without one its complaints go nowhere.
_PROJECT = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>broker</artifactId>
  <version>{KAFKA_VERSION}</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <groupId>org.apache.maven.plugins</groupId>
        <artifactId>maven-dependency-plugin</artifactId>
        <version>3.8.1</version>
      </plugin>
    </plugins>
  </build>
</project>
"""


def fetch_kafka(cache: Path) -> Path:
    """Return the folder that holds Apache Kafka and all it needs, fetched on the first call (blocking).

    A lock file in `cache` lets only one process fetch. Raises RuntimeError with Maven's words where it fails.
    """
    maven = cache.resolve() / "maven"
    jars = maven / f"kafka-{KAFKA_VERSION}"
    maven.mkdir(parents=True, exist_ok=True)
    with (maven / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.is_dir():
            unfinished = jars.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            _fetch(maven, unfinished)
            unfinished.rename(jars)
    return jars


def _fetch(maven: Path, destination: Path) -> None:
    project = maven / "pom.xml"
    project.write_text(_PROJECT)
    arguments = [
        *("mvn", "--quiet", "--batch-mode", "--strict-checksums", f"--file={project}"),
        f"-Dmaven.repo.local={maven / 'repository'}",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={destination}",
    ]
    done = subprocess.run(  # noqa: S603 - every argument is written above
        arguments, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"Maven could not fetch Apache Kafka {KAFKA_VERSION}:\n{done.stdout}{done.stderr}")
