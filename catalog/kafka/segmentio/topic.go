package segmentio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// topic reads a topic's metadata, at most a few seconds old.
func (n *network) topic(ctx context.Context, name string) (kafka.Topic, error) {
	response, err := n.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{name}})
	switch {
	case err != nil:
		return kafka.Topic{}, err
	case len(response.Topics) != 1:
		return kafka.Topic{}, kafka.UnknownTopicOrPartition
	}
	return response.Topics[0], response.Topics[0].Error
}

// declare sees to it that a topic exists, and is what the bindings say.
func (n *network) declare(ctx context.Context, name string, bindings *ChannelBindings) error {
	if err := bindings.check(); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, n.options.Timeout)
	defer cancel()
	topic, err := n.topic(limit, name)
	if errors.Is(err, kafka.UnknownTopicOrPartition) {
		n.refresh() // it may be younger than the cached metadata
		topic, err = n.topic(limit, name)
	}
	if errors.Is(err, kafka.UnknownTopicOrPartition) && !n.options.NoDeclare {
		if !bindings.declares() {
			return n.autoCreate(limit, ctx, name)
		}
		if err = n.create(limit, name, bindings); err == nil {
			return nil
		}
		if errors.Is(err, kafka.TopicAlreadyExists) {
			n.refresh()
			topic, err = n.topic(limit, name)
		}
	}
	if err != nil || n.options.NoDeclare {
		return err
	}
	return n.compare(limit, topic, bindings)
}

func (n *network) create(ctx context.Context, name string, b *ChannelBindings) error {
	config := kafka.TopicConfig{Topic: name, NumPartitions: -1, ReplicationFactor: -1} // -1: the server's default (KIP-464)
	if b.Partitions != nil {
		config.NumPartitions = *b.Partitions
	}
	if b.Replicas != nil {
		config.ReplicationFactor = *b.Replicas
	}
	for _, entry := range b.TopicConfiguration.entries() {
		config.ConfigEntries = append(config.ConfigEntries, kafka.ConfigEntry{ConfigName: entry[0], ConfigValue: entry[1]})
	}
	response, err := n.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
	if err != nil {
		return err
	}
	return response.Errors[name]
}

// autoCreate asks the server to create a topic with its own defaults
// (auto.create.topics.enable). The answer does not tell a server that won't
// from one that is about to, so the time-out tells.
func (n *network) autoCreate(limit, ctx context.Context, name string) error {
	for attempt := 0; ; attempt++ {
		response, err := n.client.Transport.RoundTrip(limit, n.client.Addr, &metadata.Request{
			TopicNames: []string{name}, AllowAutoTopicCreation: true,
		})
		if err == nil {
			if topics := response.(*metadata.Response).Topics; len(topics) == 1 && topics[0].ErrorCode == 0 {
				return nil
			} else if len(topics) == 1 {
				err = kafka.Error(topics[0].ErrorCode)
			}
		}
		if final(err) {
			return err
		}
		if !sleep(limit, n.options.backoff(attempt)) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w: the server does not create it: %w", ErrNotFound, err)
		}
	}
}

// compare refuses a topic that is not what the bindings say. It is not changed.
func (n *network) compare(ctx context.Context, topic kafka.Topic, b *ChannelBindings) error {
	if !b.declares() {
		return nil
	}
	differs := func(what string, have, want any) error {
		return fmt.Errorf("%w: the topic exists with %s %v, the bindings say %v", ErrRefused, what, have, want)
	}
	if have := len(topic.Partitions); b.Partitions != nil && have != *b.Partitions {
		return differs("partitions", have, *b.Partitions)
	}
	if have := len(topic.Partitions[0].Replicas); b.Replicas != nil && have != *b.Replicas {
		return differs("replicas", have, *b.Replicas)
	}
	entries := b.TopicConfiguration.entries()
	if len(entries) == 0 {
		return nil
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry[0]
	}
	response, err := n.client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: topic.Name, ConfigNames: names,
	}}})
	if err == nil {
		err = response.Resources[0].Error
	}
	if errors.Is(err, kafka.TopicAuthorizationFailed) {
		n.options.Logger.Warn("kafka: topic configuration not compared with the bindings: not allowed to read it", "topic", topic.Name)
		return nil
	}
	if err != nil {
		return err
	}
	have := map[string]string{}
	for _, entry := range response.Resources[0].ConfigEntries {
		have[entry.ConfigName] = entry.ConfigValue
	}
	for _, entry := range entries {
		if words(have[entry[0]]) != words(entry[1]) {
			return differs(entry[0], have[entry[0]], entry[1])
		}
	}
	return nil
}

// words sorts a list such as that of cleanup.policy.
func words(value string) string {
	list := strings.Split(value, ",")
	slices.Sort(list)
	return strings.Join(list, ",")
}
