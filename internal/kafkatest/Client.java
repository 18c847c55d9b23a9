import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Properties;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's own client, for the tests: "send servers topic (key value header)..."
 * sends one record for each triple, "receive servers topic count" prints
 * records. Everything is in base64, a header is name:value, "-" is null.
 */
class Client {
    public static void main(String[] args) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", args[1]);
        String topic = args[2];
        if (args[0].equals("send")) {
            send(config, topic, args);
        } else {
            receive(config, topic, Integer.parseInt(args[3]));
        }
    }

    static void send(Properties config, String topic, String[] args) throws Exception {
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int i = 3; i + 2 < args.length; i += 3) {
                var record = new ProducerRecord<>(topic, decode(args[i]), decode(args[i + 1]));
                String[] header = args[i + 2].split(":");
                record.headers().add(new String(decode(header[0])), decode(header[1]));
                producer.send(record).get();
            }
        }
    }

    static void receive(Properties config, String topic, int count) {
        config.put("enable.auto.commit", "false");
        try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (PartitionInfo p : consumer.partitionsFor(topic)) {
                partitions.add(new TopicPartition(topic, p.partition()));
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (count > 0) {
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofSeconds(1))) {
                    StringBuilder line = new StringBuilder(r.partition() + " " + encode(r.key()) + " " + encode(r.value()));
                    for (Header h : r.headers()) {
                        line.append(" ").append(encode(h.key().getBytes())).append(":").append(encode(h.value()));
                    }
                    System.out.println(line);
                    count--;
                }
            }
        }
    }

    static byte[] decode(String text) {
        return text.equals("-") ? null : Base64.getDecoder().decode(text);
    }

    static String encode(byte[] data) {
        return data == null ? "-" : Base64.getEncoder().encodeToString(data);
    }
}
