"""The Kafka-protocol broker of the local system: embedded, Apache Kafka, or one that runs elsewhere."""

from local.broker.apache import ApacheBroker, apache_available
from local.broker.choice import Broker, BrokerKind, choose
from local.broker.embedded import EmbeddedBroker
from local.broker.external import ExternalBroker
from local.broker.librdkafka import DISCONNECT, Api
from local.broker.maven import fetch_kafka

__all__ = [
    "DISCONNECT",
    "ApacheBroker",
    "Api",
    "Broker",
    "BrokerKind",
    "EmbeddedBroker",
    "ExternalBroker",
    "apache_available",
    "choose",
    "fetch_kafka",
]
