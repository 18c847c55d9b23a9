package paho

import (
	"slices"
	"sync"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// store is what the library keeps its unacknowledged messages in. That one is
// taken out of it is the only sign of an acknowledgement which holds over a
// reconnect: the library's token says nil when the connection has come back.
type store struct {
	slots    chan struct{} // one is taken for each message
	mu       sync.Mutex
	handing  *record // what is being given to the library
	messages []stored
}

type stored struct {
	key    string
	packet packets.ControlPacket
	record *record
}

// inFlight is how many messages wait for their acknowledgement at most. The
// library has identifiers for 65,535.
const inFlight = 1000

func newStore() *store { return &store{slots: make(chan struct{}, inFlight)} }

func (*store) Open()  {}
func (*store) Close() {}
func (*store) Reset() {}

// outbound tells the keys of messages to the server from those of messages from
// it, which the inbox holds.
func outbound(key string) bool { return key[0] == 'o' }

// Put is called with a message before it is sent, and with what follows on the
// server's first answer to QoS 2.
func (s *store) Put(key string, packet packets.ControlPacket) {
	if !outbound(key) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(key); i >= 0 {
		s.messages[i].packet = packet
		return
	}
	s.messages = append(s.messages, stored{key, packet, s.handing})
	s.handing = nil
}

// Del is called when the server has acknowledged a message.
func (s *store) Del(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(key); outbound(key) && i >= 0 {
		s.messages[i].record.end(nil)
		s.messages = slices.Delete(s.messages, i, i+1)
		<-s.slots
	}
}

// All gives the keys in the order of the messages.
func (s *store) All() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]string, len(s.messages))
	for i, m := range s.messages {
		keys[i] = m.key
	}
	return keys
}

// Get gives what is to be sent again.
func (s *store) Get(key string) packets.ControlPacket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(key); i >= 0 {
		return s.messages[i].packet
	}
	return nil
}

func (s *store) find(key string) int {
	return slices.IndexFunc(s.messages, func(m stored) bool { return m.key == key })
}

// hand gives a record to the library, and tells whether it took it: not where
// the connection has just ended.
func (s *store) hand(r *record, publish func()) bool {
	s.mu.Lock()
	s.handing = r
	s.mu.Unlock()
	publish()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handing == nil {
		return true
	}
	s.handing = nil
	<-s.slots
	return false
}

// forget drops what nobody waits for any more. It is called while there is no
// connection: one that makes the server hang up would be sent again for ever.
func (s *store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = slices.DeleteFunc(s.messages, func(m stored) bool {
		over := m.record.over.Load()
		if over {
			<-s.slots
		}
		return over
	})
}
