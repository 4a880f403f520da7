package renkei.join;

import java.util.Set;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** Lets a tombstone out only for a row that was sent: a filtered KTable sends one for each row that does not pass. */
final class Sent implements FixedKeyProcessorSupplier<String, Joined, Joined> {
    private static final String STORE = "sent";

    @Override
    public Set<StoreBuilder<?>> stores() {
        return Set.of(Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.ByteArray()));
    }

    @Override
    public FixedKeyProcessor<String, Joined, Joined> get() {
        return new FixedKeyProcessor<>() {
            private static final byte[] YES = {1};
            private FixedKeyProcessorContext<String, Joined> context;
            private KeyValueStore<String, byte[]> sent;

            @Override
            public void init(FixedKeyProcessorContext<String, Joined> context) {
                this.context = context;
                this.sent = context.getStateStore(STORE);
            }

            @Override
            public void process(FixedKeyRecord<String, Joined> record) {
                boolean was = sent.get(record.key()) != null;
                boolean is = record.value() != null;
                if (is != was) {
                    sent.put(record.key(), is ? YES : null);
                }
                if (is || was) {
                    context.forward(record);
                }
            }
        };
    }
}
