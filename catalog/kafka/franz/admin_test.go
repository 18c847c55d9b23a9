package franz_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	driver "github.com/asyncapi-impl/asyncapi-impl/catalog/kafka/franz"
)

// committed asks the server for a group's offsets, summed over the partitions.
func committed(t testing.TB, client *kgo.Client, group, topic string, partitions int) (sum int64) {
	t.Helper()
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Group = group
	list := kmsg.NewOffsetFetchRequestTopic()
	list.Topic = topic
	for i := range partitions {
		list.Partitions = append(list.Partitions, int32(i))
	}
	request.Topics = append(request.Topics, list)
	response, err := request.RequestWith(within(t, 10*time.Second), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range response.Topics[0].Partitions {
		sum += max(p.Offset, 0)
	}
	return sum
}

func describe(t testing.TB, p *driver.Producer, topic string) kmsg.MetadataResponseTopic {
	t.Helper()
	request := kmsg.NewPtrMetadataRequest()
	name := kmsg.NewMetadataRequestTopic()
	name.Topic = &topic
	request.Topics = append(request.Topics, name)
	response, err := request.RequestWith(within(t, 10*time.Second), p.Native())
	if err != nil {
		t.Fatal(err)
	}
	return response.Topics[0]
}

func configuration(t testing.TB, p *driver.Producer, topic string) map[string]string {
	t.Helper()
	request := kmsg.NewPtrDescribeConfigsRequest()
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	request.Resources = append(request.Resources, resource)
	response, err := request.RequestWith(within(t, 10*time.Second), p.Native())
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, entry := range response.Resources[0].Configs {
		if entry.Value != nil {
			have[entry.Name] = *entry.Value
		}
	}
	return have
}

func throwOut(t testing.TB, p *driver.Producer, group, member string) {
	t.Helper()
	request := kmsg.NewPtrLeaveGroupRequest()
	request.Group, request.MemberID = group, member
	leaving := kmsg.NewLeaveGroupRequestMember()
	leaving.MemberID = member
	request.Members = append(request.Members, leaving)
	if _, err := request.RequestWith(within(t, 10*time.Second), p.Native()); err != nil {
		t.Fatal(err)
	}
}

func grow(t testing.TB, p *driver.Producer, topic string, partitions int) {
	t.Helper()
	request := kmsg.NewPtrCreatePartitionsRequest()
	request.TimeoutMillis = 10_000
	more := kmsg.NewCreatePartitionsRequestTopic()
	more.Topic, more.Count = topic, int32(partitions)
	request.Topics = append(request.Topics, more)
	response, err := request.RequestWith(within(t, 10*time.Second), p.Native())
	if err == nil {
		err = kerr.ErrorForCode(response.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}
