package scenario

// payload is the size of a common request, in bytes.
const payload = 581

// stacks are all that are measured, in this order within a round.
var stacks = []string{
	"raw", "raw-worker", "tp", "tp-controller", "tp-inline", "tp-plugins", "grpc", "drpc", "netrpc", "nats",
}

// The stacks of a scenario. Variants of tp are measured where they differ from
// it most: where connections are shared, and where they are not.
var (
	onlyTP   = []string{"tp"}
	limit    = []string{"raw", "tp"}
	asPeers  = []string{"raw", "tp", "grpc", "drpc", "netrpc", "nats"}
	handed   = []string{"raw", "raw-worker", "tp", "tp-inline", "grpc", "drpc", "netrpc", "nats"}
	variants = []string{"raw", "tp", "tp-controller", "tp-inline", "tp-plugins", "grpc", "drpc", "netrpc", "nats"}
	proto    = []string{"raw", "tp", "grpc", "drpc"}
)

// all is the table of what runs. The whole of it takes about 12 minutes in five
// rounds of one second each: who adds a line may have to shorten another. What
// they are called is in the catalog of package report.
var all = []Scenario{
	{ID: "S1", Conns: 1, Callers: 1, Size: payload, Stacks: handed},
	{ID: "S2", Conns: 1, Callers: 100, Size: payload, Stacks: variants},
	{ID: "S3", Conns: 1, Callers: 1000, Size: payload, Stacks: asPeers},
	{ID: "S4", Conns: 100, Callers: 1, Size: payload, Stacks: variants},
	{ID: "S5", Conns: 1000, Callers: 1, Size: payload, Stacks: asPeers},
	{ID: "S5b", Conns: 5000, Callers: 1, Size: payload, Stacks: []string{"raw", "tp", "grpc"}, Rounds: 3},
	{ID: "S6", Conns: 16, Callers: 64, Size: payload, Stacks: variants},

	{ID: "P2-S1", Body: Proto, Conns: 1, Callers: 1, Stacks: proto},
	{ID: "P2-S2", Body: Proto, Conns: 1, Callers: 100, Stacks: proto},
	{ID: "P2-S4", Body: Proto, Conns: 100, Callers: 1, Stacks: proto},
	{ID: "P2-S6", Body: Proto, Conns: 16, Callers: 64, Stacks: proto},

	{ID: "S9", Conns: 1, Callers: 8, Size: 1 << 20, Stacks: asPeers},
	{ID: "S10", Body: JSON, Conns: 1, Callers: 100, Stacks: limit},

	{ID: "S7", Kind: Idle, Idle: 10_000, Size: payload, Rounds: 2, Stacks: []string{"tp", "grpc", "drpc", "netrpc", "nats"}},
	{ID: "S8", Kind: Broadcast, Conns: 5000, Size: 128, Rounds: 3, Stacks: []string{"tp", "nats"}},

	{ID: "S2-idle-0", Conns: 1, Callers: 100, Size: payload, Stacks: onlyTP},
	{ID: "S2-idle-1000", Conns: 1, Callers: 100, Size: payload, Idle: 1000, Stacks: onlyTP},
	{ID: "S2-idle-10000", Conns: 1, Callers: 100, Size: payload, Idle: 10_000, Stacks: onlyTP},
	{ID: "S2-routes-10", Conns: 1, Callers: 100, Size: payload, Routes: 10, Stacks: onlyTP},
	{ID: "S2-routes-1000", Conns: 1, Callers: 100, Size: payload, Routes: 1000, Stacks: onlyTP},
	{ID: "S2-routes-10000", Conns: 1, Callers: 100, Size: payload, Routes: 10_000, Stacks: onlyTP},
	{ID: "S2-procs-1", Conns: 1, Callers: 100, Size: payload, Procs: 1, Stacks: limit},
	{ID: "S2-procs-2", Conns: 1, Callers: 100, Size: payload, Procs: 2, Stacks: limit},
	{ID: "S2-procs-4", Conns: 1, Callers: 100, Size: payload, Procs: 4, Stacks: limit},
}
