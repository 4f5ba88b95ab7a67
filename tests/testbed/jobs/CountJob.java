import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An endless job that counts, for tests of failover: its counter goes on where a checkpoint left it, or starts again at
 * zero. The source compiles for Flink 1.16 to 2.3.
 *
 * <p>Arguments: --interval MS between checkpoints (1000), --rate N elements a second for each subtask (50). Parallelism
 * is the environment's.
 *
 * <p>The vertex "count" has two metrics: "count.counter", the elements that its subtask counted, restored ones included,
 * and "count.mismatches", how often the state of a key was not what its element says it must be: always 0, if state and
 * source were restored from one checkpoint. A subtask logs "restored counter=N" when it starts from a checkpoint.
 */
public class CountJob {
  private static final int KEYS = 16;

  /** Numbers its elements for each key: 1, 2, 3, ... The number is what the counter of the key must become. */
  public static class Number extends RichMapFunction<Long, long[]> {
    private final long pause;

    Number(long pause) {
      this.pause = pause;
    }

    @Override
    public long[] map(Long x) throws Exception {
      Thread.sleep(pause);
      return new long[] {x % KEYS, x / KEYS + 1};
    }
  }

  public static class Count extends RichMapFunction<long[], Long> implements CheckpointedFunction {
    private static final Logger LOG = LoggerFactory.getLogger("CountJob");
    private transient ValueState<Long> perKey;
    private transient ListState<Long> saved;
    private volatile long counter; // of this subtask: read by the metrics' thread
    private volatile long mismatches;

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
      perKey = context.getKeyedStateStore().getState(new ValueStateDescriptor<>("counter", Long.class));
      saved = context.getOperatorStateStore().getListState(new ListStateDescriptor<>("counter-of-subtask", Long.class));
      counter = 0;
      for (Long part : saved.get()) {
        counter += part;
      }
      if (context.isRestored()) {
        LOG.info("restored counter={}", counter);
      }
      getRuntimeContext().getMetricGroup().gauge("counter", (Gauge<Long>) () -> counter);
      getRuntimeContext().getMetricGroup().gauge("mismatches", (Gauge<Long>) () -> mismatches);
    }

    @Override
    public Long map(long[] element) throws Exception {
      long before = perKey.value() == null ? 0 : perKey.value();
      if (before + 1 != element[1]) {
        mismatches++;
      }
      perKey.update(before + 1);
      counter++;
      return counter;
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
      saved.clear();
      saved.add(counter);
    }
  }

  private static long option(String[] args, String name, long otherwise) {
    for (int i = 0; i + 1 < args.length; i++) {
      if (args[i].equals(name)) {
        return Long.parseLong(args[i + 1]);
      }
    }
    return otherwise;
  }

  public static void main(String[] args) throws Exception {
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    env.enableCheckpointing(option(args, "--interval", 1000));
    long pause = 1000 / option(args, "--rate", 50);
    // one source, so that the elements of a key come in order, whatever the parallelism
    env.fromSequence(0, Long.MAX_VALUE).name("source").uid("source").setParallelism(1)
        .map(new Number(pause)).name("number").uid("number").setParallelism(1)
        .keyBy(element -> element[0])
        .map(new Count()).name("count").uid("count")
        .filter(x -> x < 0).name("nothing").uid("nothing")
        .print().name("sink").uid("sink");
    env.execute("count");
  }
}
