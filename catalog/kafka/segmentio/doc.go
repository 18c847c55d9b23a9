// Package segmentio talks to Kafka with github.com/segmentio/kafka-go. The
// copy is yours to change.
package segmentio
