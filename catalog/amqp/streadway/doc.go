// Package streadway talks to RabbitMQ. The copy is yours to change.
package streadway
