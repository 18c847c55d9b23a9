package conformance

// need gives the reason why a check does not apply to a driver, "" if it does.
type need func(*driver) string

func unless(missing func(*driver) bool, reason string) need {
	return func(d *driver) string {
		if missing(d) {
			return reason
		}
		return ""
	}
}

// What the protocol must have.
var (
	headers     = unless(func(d *driver) bool { return d.caps.NoHeaders }, "the protocol has no headers")
	noHeaders   = unless(func(d *driver) bool { return !d.caps.NoHeaders }, "the protocol has headers")
	contentType = unless(func(d *driver) bool { return d.caps.NoContentType }, "the protocol has no content type")
	noType      = unless(func(d *driver) bool { return !d.caps.NoContentType }, "the protocol has a content type")
	lossless    = unless(func(d *driver) bool { return d.caps.Lossy }, "the protocol loses messages")
	ordered     = unless(func(d *driver) bool { return d.caps.Unordered || d.caps.Lossy }, "the protocol keeps no order")
	redelivery  = unless(func(d *driver) bool { return d.caps.NoRedelivery }, "the protocol cannot deliver again")
	noRedeliver = unless(func(d *driver) bool { return !d.caps.NoRedelivery }, "the protocol delivers again")
	inPlace     = unless(func(d *driver) bool { return d.caps.Requeues }, "the protocol delivers again after later messages")
	persistence = unless(func(d *driver) bool { return d.caps.NoPersistence }, "the protocol keeps nothing for a subscriber that is away")
	verdicts    = unless(func(d *driver) bool { return !d.caps.Answered }, "Send does not wait for the handler")
	noVerdicts  = unless(func(d *driver) bool { return d.caps.Answered }, "Send waits for the handler")
	holding     = unless(func(d *driver) bool { return d.caps.Refuses }, "the protocol refuses messages while no Receive runs")
	confirmed   = unless(func(d *driver) bool { return d.caps.NoConfirm }, "the protocol does not confirm")
	server      = unless(func(d *driver) bool { return d.caps.NoServer }, "the protocol has no server")
	noServer    = unless(func(d *driver) bool { return !d.caps.NoServer }, "the protocol has a server")
	connection  = unless(func(d *driver) bool { return d.caps.NoConnection }, "the protocol has no connection")
	lifeSigns   = unless(func(d *driver) bool { return d.caps.NoSignOfLife }, "the protocol asks for no sign of life")
	addresses   = unless(func(d *driver) bool { return d.caps.OneAddress }, "a consumer serves one address")
	groups      = unless(func(d *driver) bool { return d.caps.NoGroups }, "the protocol has no groups")
	handover    = unless(func(d *driver) bool { return d.caps.NoHandover }, "what a member of a group had in hand when it left stays its own")
	subscribers = unless(func(d *driver) bool { return d.caps.OneSubscriber }, "an address takes one subscriber")
	addressable = unless(func(d *driver) bool { return d.caps.NoMissing }, "every address exists")
	passwords   = unless(func(d *driver) bool { return d.caps.NoCredentials }, "the protocol carries no credentials")
	limited     = unless(func(d *driver) bool { return d.caps.MaxPayload == 0 }, "no limit of the payload is set")
)

// What the wiring or the environment must give.
var (
	keys       = unless(func(d *driver) bool { return d.setKey == nil }, "the protocol has no keys")
	requests   = unless(func(d *driver) bool { return d.request == nil || d.reply == nil }, "the protocol has no replies")
	deletes    = unless(func(d *driver) bool { return d.delete == nil }, "an address cannot be deleted")
	foreigner  = unless(func(d *driver) bool { return d.foreign == nil }, "no foreign client is wired")
	secure     = unless(func(d *driver) bool { return d.broker == nil || d.broker.SecureURL == "" }, "the broker has no listener with a password")
	secureTLS  = unless(func(d *driver) bool { return d.broker == nil || d.broker.CA == nil }, "the broker has no listener with TLS")
	mutual     = unless(func(d *driver) bool { return d.broker == nil || d.broker.MutualURL == "" }, "the broker has no listener with mutual TLS")
	revocation = unless(func(d *driver) bool { return d.broker == nil || d.broker.Revoke == nil }, "the broker cannot revoke credentials")
	refusal    = unless(func(d *driver) bool { return d.broker == nil || d.broker.RefusedAddress == "" }, "the broker refuses no address")
	killable   = unless(func(d *driver) bool { return d.broker == nil || d.broker.Kill == nil }, "the broker cannot be killed")
	secureName = unless(func(d *driver) bool { return d.secureScheme == "" }, "the wiring names no secure scheme")
)
