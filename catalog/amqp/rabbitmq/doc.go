// Package rabbitmq talks to RabbitMQ. The copy is yours to change.
package rabbitmq
