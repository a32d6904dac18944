"""Every metric that the project tells, in one place: its name, its labels, and what it counts."""

from prometheus_client import Counter, Gauge, Histogram

_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# What comes in over HTTP.
HTTP_REQUESTS = Counter(
    "http_requests_total",
    "Requests answered, by route template and status.",
    ("method", "route", "status"),
)
HTTP_REQUEST_SECONDS = Histogram(
    "http_request_seconds",
    "Time from a request's head to the last byte of its answer.",
    ("method", "route"),
    buckets=_REQUEST_SECONDS,
)
HTTP_REQUESTS_OPEN = Gauge("http_requests_open", "Requests under way.")
IDEMPOTENT_REPEATS = Counter(
    "http_idempotent_repeats_total",
    "Calls whose Idempotency-Key was known: the first answer again, another body, or still under way.",
    ("outcome",),
)

# Who calls.
AUTH_REFUSALS = Counter("auth_refusals_total", "Tokens refused, by reason.", ("reason",))
ISSUER_KEY_FETCHES = Counter(
    "issuer_key_fetches_total", "Fetches of an issuer's keys.", ("issuer", "outcome")
)

# Health.
READY = Gauge("ready", "1 while /readyz says yes.")

# What travels on the bus.
EVENTS_PUBLISHED = Counter("events_published_total", "Events that the relay brought to Kafka.")
EVENTS_HANDLED = Counter("events_handled_total", "Events handled.", ("consumer", "type"))
EVENTS_PARKED = Counter("events_parked_total", "Events parked for a fault of their own.", ("consumer",))
EVENTS_UNKNOWN = Counter(
    "events_unknown_total", "Events of types that this build does not know: ignored.", ("consumer",)
)
RECORDS_LOST = Counter(
    "records_lost_total", "Partitions of which records were gone before they were read.", ("consumer",)
)
CONSUMER_REBUILDS = Counter("consumer_rebuilds_total", "Consumers built anew after trouble.", ("consumer",))
OUTBOX_DEPTH = Gauge("outbox_depth", "Events in the outbox.")
OUTBOX_OLDEST_SECONDS = Gauge("outbox_oldest_seconds", "Age of the oldest event in the outbox.")
PARKED_ROWS = Gauge("parked_rows", "Parked records.", ("consumer",))

# Work with outside parties.
WORK_DONE = Counter("work_done_total", "Steps that came to their end.", ("kind",))
WORK_OLDEST_SECONDS = Gauge("work_oldest_seconds", "For how long the oldest due row of work has been due.")
WORK_POSTPONED = Counter("work_postponed_total", "Steps that are to be tried again.", ("kind",))

# Assignments and the entitlements they cover.
ASSIGNMENTS_REFUSED = Counter(
    "assignments_refused_total", "Assignments refused as a whole, by slug.", ("refusal",)
)
ENTITLEMENTS_MOVED = Counter(
    "entitlements_moved_total", "Entitlements by the state they came to, and its cause.", ("state", "cause")
)

# Licences, and Apple's App and Book service.
LICENSES_TOLD = Counter(
    "licenses_told_total",
    "Targets told of, by answer and, where it is a no, its cause.",
    ("answer", "cause"),
)
DRIFT_LICENSES = Gauge(
    "drift_licenses",
    "Differences between our ledger and Apple's lists that nothing was done about, by class.",
    ("class",),
)
CONTENT_TOKENS_TOLD = Counter(
    "content_tokens_told_total",
    "Told of content tokens: expiring, resumed, and suspended by its cause.",
    ("event", "cause"),
)
APPLE_REQUESTS = Counter(
    "apple_requests_total",
    "Requests to Apple's App and Book service, by endpoint and outcome.",
    ("endpoint", "outcome"),
)
APPLE_NOTIFICATIONS = Counter(
    "apple_notifications_total",
    "Apple's notifications: kept, malformed, wrong_secret; of those kept: not_believed, unopened.",
    ("outcome",),
)
APPLE_USERS_TOLD = Counter(
    "apple_users_told_total", "Apple users told of: invited, associated, retired.", ("event",)
)
LICENSES_LEFT_BEHIND = Gauge(
    "licenses_left_behind", "People associated beside a licence that waits for just that: there must be none."
)

# Invitations and their letters.
INVITATIONS_MOVED = Counter("invitations_moved_total", "Invitations by the state they came to.", ("state",))
LETTERS = Counter(
    "letters_total", "Letters handed to the mail relay: taken, refused, deferred.", ("outcome",)
)
MAIL_LANE_OPEN = Gauge("mail_lane_open", "0 while no letter leaves: the mail relay is away or refuses us.")

# Devices and their wake-ups.
DEVICE_REQUESTS = Counter(
    "device_requests_total", "Requests of devices, by message or status and outcome.", ("message", "outcome")
)
PUSHES = Counter("pushes_total", "Wake-ups, by what APNs answered: accepted, or the reason.", ("answer",))
PUSHES_IN_FLIGHT = Gauge("pushes_in_flight", "Wake-ups that APNs has not answered yet.")
PUSH_TOPICS_PAUSED = Gauge(
    "push_topics_paused", "Topics whose wake-ups are held back: certificate or set-up."
)
