package franz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topic reads a topic's metadata.
func (n *network) topic(ctx context.Context, name string) (kmsg.MetadataResponseTopic, error) {
	return n.metadata(ctx, name, false)
}

func (n *network) metadata(ctx context.Context, name string, create bool) (kmsg.MetadataResponseTopic, error) {
	request := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	request.Topics = append(request.Topics, topic)
	request.AllowAutoTopicCreation = create
	response, err := ask(ctx, n, request.RequestWith)
	switch {
	case err != nil:
		return kmsg.MetadataResponseTopic{}, err
	case len(response.Topics) != 1:
		return kmsg.MetadataResponseTopic{}, kerr.UnknownTopicOrPartition
	}
	return response.Topics[0], kerr.ErrorForCode(response.Topics[0].ErrorCode)
}

// declare sees to it that a topic exists, and is what the bindings say.
func (n *network) declare(ctx context.Context, name string, bindings *ChannelBindings) error {
	if err := bindings.check(); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, n.options.Timeout)
	defer cancel()
	topic, err := n.topic(limit, name)
	if errors.Is(err, kerr.UnknownTopicOrPartition) && !n.options.NoDeclare {
		if !bindings.declares() {
			return n.autoCreate(limit, ctx, name)
		}
		created := n.create(limit, name, bindings)
		if created != nil && !errors.Is(created, kerr.TopicAlreadyExists) {
			return created
		}
		if topic, err = n.appear(limit, name); created == nil {
			return err
		}
	}
	if err != nil || n.options.NoDeclare {
		return err
	}
	return n.compare(limit, topic, bindings)
}

func (n *network) create(ctx context.Context, name string, b *ChannelBindings) error {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1 // -1: the server's default (KIP-464)
	if b.Partitions != nil {
		topic.NumPartitions = int32(*b.Partitions)
	}
	if b.Replicas != nil {
		topic.ReplicationFactor = int16(min(*b.Replicas, 1<<15-1))
	}
	for _, entry := range b.TopicConfiguration.entries() {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = entry[0], &entry[1]
		topic.Configs = append(topic.Configs, config)
	}
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = append(request.Topics, topic)
	request.TimeoutMillis = n.options.milliseconds()
	response, err := ask(ctx, n, request.RequestWith)
	if err != nil {
		return err
	}
	if len(response.Topics) != 1 {
		return kerr.UnknownServerError
	}
	return answer(response.Topics[0].ErrorCode, response.Topics[0].ErrorMessage)
}

// appear waits for a topic that was just created: not every server knows it yet.
func (n *network) appear(ctx context.Context, name string) (kmsg.MetadataResponseTopic, error) {
	for attempt := 0; ; attempt++ {
		topic, err := n.topic(ctx, name)
		if !errors.Is(err, kerr.UnknownTopicOrPartition) || !sleep(ctx, n.options.backoff(attempt)/10) {
			return topic, err
		}
	}
}

// autoCreate asks the server to create a topic with its own defaults
// (auto.create.topics.enable). The answer does not tell a server that won't
// from one that is about to, so the time-out tells.
func (n *network) autoCreate(limit, ctx context.Context, name string) error {
	for attempt := 0; ; attempt++ {
		_, err := n.metadata(limit, name, true)
		if err == nil || final(err) {
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
func (n *network) compare(ctx context.Context, topic kmsg.MetadataResponseTopic, b *ChannelBindings) error {
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
	have, err := n.configuration(ctx, *topic.Topic, entries)
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		n.options.Logger.Warn("kafka: topic configuration not compared with the bindings: not allowed to read it", "topic", *topic.Topic)
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if words(have[entry[0]]) != words(entry[1]) {
			return differs(entry[0], have[entry[0]], entry[1])
		}
	}
	return nil
}

func (n *network) configuration(ctx context.Context, topic string, entries [][2]string) (map[string]string, error) {
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	for _, entry := range entries {
		resource.ConfigNames = append(resource.ConfigNames, entry[0])
	}
	request := kmsg.NewPtrDescribeConfigsRequest()
	request.Resources = append(request.Resources, resource)
	response, err := ask(ctx, n, request.RequestWith)
	if err != nil {
		return nil, err
	}
	if len(response.Resources) != 1 {
		return nil, kerr.UnknownServerError
	}
	have := map[string]string{}
	for _, config := range response.Resources[0].Configs {
		if config.Value != nil {
			have[config.Name] = *config.Value
		}
	}
	return have, answer(response.Resources[0].ErrorCode, response.Resources[0].ErrorMessage)
}

// answer is the server's error, with what it says about it.
func answer(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err == nil || message == nil || *message == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, *message)
}

// words sorts a list such as that of cleanup.policy.
func words(value string) string {
	list := strings.Split(value, ",")
	slices.Sort(list)
	return strings.Join(list, ",")
}
