package registry

import "math"

// Choice says which member of a service gets a call. It is made among those of the
// lowest Instance.Priority that has any with a connection.
type Choice string

const (
	// RoundRobin takes one after the other. It is the default.
	RoundRobin Choice = ""
	// Weighted takes one after the other, each as often as its Instance.Weight says,
	// evenly spread: with 5, 1 and 1 as a a b a c a a. The algorithm is the smooth
	// weighted round-robin of nginx.
	Weighted Choice = "weighted"
	// LeastPending takes the one with the fewest pulls of this client under way; of
	// several, one after the other.
	LeastPending Choice = "least-pending"
	// ConsistentHash takes the same one for the same key, which WithKey gives; calls
	// without one go as with RoundRobin. The algorithm is weighted rendezvous
	// hashing: each member has a score made of the key and its address, and the
	// greatest wins. So all clients agree without talking to each other. When a
	// member comes or goes, only keys that it gets or had move, which is its share by
	// weight. A choice looks at all members.
	ConsistentHash Choice = "consistent-hash"
)

func (c Choice) isKnown() bool {
	return c == RoundRobin || c == Weighted || c == LeastPending || c == ConsistentHash
}

// chooser chooses among members. Its methods are called under the lock of the client.
type chooser struct {
	choice Choice
	turn   uint
}

// choose returns one of the members, of which there is at least one.
func (c *chooser) choose(members []*member, key string) *member {
	switch {
	case c.choice == ConsistentHash && key != "":
		return rendezvous(members, key)
	case c.choice == Weighted:
		return smooth(members)
	case c.choice == LeastPending:
		return c.leastPending(members)
	}
	c.turn++
	return members[c.turn%uint(len(members))]
}

func (c *chooser) leastPending(members []*member) *member {
	c.turn++
	var best *member
	least := int64(math.MaxInt64)
	for i := range members {
		m := members[(c.turn+uint(i))%uint(len(members))]
		if n := m.pending.Load(); n < least {
			best, least = m, n
		}
	}
	return best
}

// smooth raises each member's credit by its weight, takes the one with the most, and
// lowers that one's by the sum of the weights.
func smooth(members []*member) *member {
	var best *member
	total := 0
	for _, m := range members {
		m.credit += m.instance.Weight
		total += m.instance.Weight
		if best == nil || m.credit > best.credit {
			best = m
		}
	}
	best.credit -= total
	return best
}

func rendezvous(members []*member, key string) *member {
	var best *member
	greatest := math.Inf(-1)
	for _, m := range members {
		if s := score(m.instance.Addr, m.instance.Weight, key); s > greatest {
			best, greatest = m, s
		}
	}
	return best
}

// score is that of weighted rendezvous hashing: weight / -ln(h), where h is a number
// between 0 and 1 that the key and the address make.
func score(addr string, weight int, key string) float64 {
	return float64(weight) / -math.Log(fraction(hash(key, addr)))
}

// fraction makes a number between 0 and 1, and neither of them, of a hash. It uses 52 bits,
// for with 53 the greatest would be rounded to 1, whose logarithm is 0.
func fraction(h uint64) float64 { return (float64(h>>12) + 0.5) / (1 << 52) }

// hash is 64-bit FNV-1a of the key, a zero byte and the address, mixed by the
// finalizer of MurmurHash3, since FNV alone hardly changes its upper bits by the last
// bytes. It must stay as it is: programs of several versions agree by it.
func hash(key, addr string) uint64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * prime
	}
	h *= prime
	for i := range len(addr) {
		h = (h ^ uint64(addr[i])) * prime
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
