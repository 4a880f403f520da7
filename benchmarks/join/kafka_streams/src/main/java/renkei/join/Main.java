package renkei.join;

import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Produced;

/**
 * The join in Kafka Streams: two KTables and {@code KTable.join} on a foreign key.
 *
 * <p>Settings come as {@code key=value} arguments and go to Streams as they are.
 */
public final class Main {
    private Main() {}

    public static void main(String[] settings) throws InterruptedException {
        String topics = System.getenv("JOIN_TOPICS");
        Properties config = config(topics, settings);
        KafkaStreams streams = new KafkaStreams(join(topics).build(config), config);
        CountDownLatch stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.ERROR || now == KafkaStreams.State.NOT_RUNNING) {
                stopped.countDown();
            }
        });
        streams.start();
        stopped.await();
    }

    private static StreamsBuilder join(String topics) {
        Serde<Deal> deal = new JsonSerde<>(Deal.class);
        Serde<Account> account = new JsonSerde<>(Account.class);
        StreamsBuilder builder = new StreamsBuilder();
        KTable<String, Account> accounts =
                builder.table(topics + ".accounts", Consumed.with(Serdes.String(), account));
        KTable<String, Deal> deals = builder.table(topics + ".deals", Consumed.with(Serdes.String(), deal));
        deals.join(accounts, Deal::account, Joined::new)
                .filter((key, joined) -> joined.passes())
                .toStream()
                .processValues(new Sent())
                .to(topics + ".joined", Produced.with(Serdes.String(), new JsonSerde<>(Joined.class)));
        return builder;
    }

    private static Properties config(String topics, String[] settings) {
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, topics + ".streams");
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("JOIN_BOOTSTRAP"));
        config.put(StreamsConfig.STATE_DIR_CONFIG, System.getenv("JOIN_STATE"));
        config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        for (String setting : settings) {
            String[] parts = setting.split("=", 2);
            config.put(parts[0], parts[1]);
        }
        return config;
    }
}
