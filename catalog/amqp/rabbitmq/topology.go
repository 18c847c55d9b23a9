package rabbitmq

import (
	"context"
	"errors"

	amqp "github.com/rabbitmq/amqp091-go"
)

// declare sees to it that what the channel needs is there: its exchange, and
// its queue, which for a Subscriber is bound to the exchange. It gives the name
// of the queue, where there is one.
func (c *channel) declare(ctx context.Context, n *session, subscribing bool) (string, error) {
	exchange := c.exchange
	if c.routed && exchange.Type == "" && !n.options.NoDeclare {
		err := c.exchangeExists(ctx, n)
		if err != nil && !errors.Is(kind(err), ErrNotFound) {
			return "", err
		}
		if err != nil {
			exchange.Type = amqp.ExchangeTopic
		}
	}
	var queue string
	passing, err := n.open(ctx, func(channel *amqp.Channel) error {
		if c.routed {
			if err := declareExchange(channel, exchange, n.options.NoDeclare); err != nil {
				return err
			}
		}
		var err error
		switch {
		case subscribing && c.routed && c.queue.Name == "":
			queue, err = declareQueue(channel, Queue{Exclusive: true, Durable: new(bool)}, false)
			if err == nil {
				err = channel.QueueBind(queue, c.key, exchange.Name, false, nil)
			}
		case subscribing:
			queue, err = declareQueue(channel, c.queue, n.options.NoDeclare)
			if err == nil && c.routed && !n.options.NoDeclare {
				err = channel.QueueBind(queue, c.key, exchange.Name, false, nil)
			}
		case c.queue.Name != "" && !c.routed && !c.queue.Exclusive:
			queue, err = declareQueue(channel, c.queue, n.options.NoDeclare)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	n.opened.close(passing)
	return queue, nil
}

// exchangeExists asks on a channel of its own: the answer no closes it.
func (c *channel) exchangeExists(ctx context.Context, n *session) error {
	channel, err := n.open(ctx, func(channel *amqp.Channel) error {
		return declareExchange(channel, c.exchange, true)
	})
	if err == nil {
		n.opened.close(channel)
	}
	return err
}

// declareExchange without a type only looks whether there is one.
func declareExchange(channel *amqp.Channel, e Exchange, passive bool) error {
	const internal, noWait = false, false
	if passive || e.Type == "" {
		return channel.ExchangeDeclarePassive(e.Name, amqp.ExchangeTopic, yes(e.Durable), e.AutoDelete, internal, noWait, nil)
	}
	return channel.ExchangeDeclare(e.Name, e.Type, yes(e.Durable), e.AutoDelete, internal, noWait, nil)
}

func declareQueue(channel *amqp.Channel, q Queue, passive bool) (string, error) {
	const noWait = false
	declare := channel.QueueDeclare
	if passive {
		declare = channel.QueueDeclarePassive
	}
	queue, err := declare(q.Name, yes(q.Durable), q.AutoDelete, q.Exclusive, noWait, nil)
	return queue.Name, err
}
