import java.io.File;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Looks at files with the file systems of the Flink that it finds on its class path: its plugins, its configuration, its
 * credentials. Flink is used by reflection alone, so that one class file, of Java 8, does for every version.
 *
 * <p>{@code StorageProbe VERB TOKEN SECONDS ROLE NUMBER [-Dkey=value...] PATH...}; NUMBER is that of the first path. The
 * answers are lines on standard output and in the container's termination message. README.md beside this file has more.
 */
public final class StorageProbe {
    /** The SHA-256 of this file: the compiled class tells which source it belongs to. */
    public static final String SOURCE = "@SOURCE@";

    private static final String FLINK = "org.apache.flink.";
    private static final Pattern LINE = Pattern.compile("\\s*([^:#\\s]+)\\s*:\\s(.*)");
    private static final Pattern SECRET = Pattern.compile(
            "secret|password|token|credential|basic-auth|jaas|headers|(account|api|service).?key",
            Pattern.CASE_INSENSITIVE);
    /** What only Amazon's support could make something of. */
    private static final Pattern NOISE =
            Pattern.compile("[;,] (S3 Extended |Extended )?Request ID: [^;,) ]*|; Proxy: null|com\\.amazonaws\\.[a-z0-9.]*");
    /** Requests under way at once. */
    private static final int PARALLEL = 16;

    private static final List<String> SECRETS = new ArrayList<>();

    /** This file, in one of Flink's file systems. */
    private final Object path;

    private final Object fileSystem;

    private StorageProbe(Object path) throws Throwable {
        this.path = path;
        this.fileSystem = call(path, "core.fs.Path", "getFileSystem");
    }

    private static StorageProbe of(String path) throws Throwable {
        try {
            return new StorageProbe(type("core.fs.Path").getConstructor(String.class).newInstance(path));
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    private StorageProbe parent() throws Throwable {
        Object parent = call(path, "core.fs.Path", "getParent");
        return parent == null ? this : new StorageProbe(parent);
    }

    private Object ask(String method, Class<?>[] types, Object... arguments) throws Throwable {
        return call(fileSystem, "core.fs.FileSystem", method, types, arguments);
    }

    /** Whether it is there; whatever else but "not found" went wrong is thrown. */
    private boolean exists() throws Throwable {
        try {
            return ask("getFileStatus", new Class<?>[] {type("core.fs.Path")}, path) != null;
        } catch (FileNotFoundException e) {
            return false;
        }
    }

    private void write(String text) throws Throwable {
        parent().ask("mkdirs", new Class<?>[] {type("core.fs.Path")}, parent().path);
        Class<?> mode = type("core.fs.FileSystem$WriteMode");
        Class<?>[] types = {type("core.fs.Path"), mode};
        try (OutputStream out = (OutputStream) ask("create", types, path, mode.getField("NO_OVERWRITE").get(null))) {
            out.write(text.getBytes(StandardCharsets.UTF_8));
        }
    }

    private String read() throws Throwable {
        byte[] bytes = new byte[256];
        int length = 0;
        try (InputStream in = (InputStream) ask("open", new Class<?>[] {type("core.fs.Path")}, path)) {
            for (int n; length < bytes.length && (n = in.read(bytes, length, bytes.length - length)) > 0; ) {
                length += n;
            }
        }
        return new String(bytes, 0, length, StandardCharsets.UTF_8);
    }

    private void delete() throws Throwable {
        Object done = ask("delete", new Class<?>[] {type("core.fs.Path"), boolean.class}, path, false);
        // Not every object store says truly whether it has deleted something.
        if (!Boolean.TRUE.equals(done) && exists()) {
            throw new IOException("it is still there");
        }
    }

    public static void main(String[] args) {
        String verb = args[0];
        String token = args[1];
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(Long.parseLong(args[2]));
        int first = Integer.parseInt(args[4]);
        List<String> options = new ArrayList<>();
        List<String> paths = new ArrayList<>();
        for (int i = 5; i < args.length; i++) {
            (args[i].startsWith("-D") ? options : paths).add(args[i]);
        }
        try {
            start(options, args[3]);
        } catch (Throwable e) {
            for (int i = 0; i < paths.size(); i++) {
                say(first + i, "unknown " + describe(e));
            }
            System.exit(0);
        }
        if (verb.equals("look")) {
            look(paths, first, deadline);
        } else if (verb.equals("hold")) {
            hold(paths.get(0), first, token, deadline);
        } else {
            read(paths.get(0), first, token);
        }
        System.exit(0);
    }

    private static void look(List<String> paths, int first, long deadline) {
        ExecutorService threads = Executors.newFixedThreadPool(PARALLEL);
        for (int i = 0; i < paths.size(); i++) {
            int number = i;
            threads.execute(() -> say(first + number, presence(paths.get(number))));
        }
        threads.shutdown();
        try {
            threads.awaitTermination(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static String presence(String path) {
        try {
            StorageProbe target = StorageProbe.of(path);
            if (target.exists()) {
                return "there";
            }
            return target.parent().exists() ? "gone" : "folder-gone";
        } catch (Throwable e) {
            return "unknown " + describe(e);
        }
    }

    /** Writes the file, waits until it is told to stop, deletes it. */
    private static void hold(String path, int number, String token, long deadline) {
        AtomicBoolean written = new AtomicBoolean();
        // A storage that does not answer is tried again for minutes, of which nobody wants to know any more.
        Thread impatient = new Thread(() -> {
            awaitStop(deadline);
            if (!written.get()) {
                Runtime.getRuntime().halt(1);
            }
        });
        impatient.setDaemon(true);
        impatient.start();
        StorageProbe target;
        try {
            target = StorageProbe.of(path);
            target.write(token);
            written.set(true);
        } catch (Throwable e) {
            say(number, "unknown " + describe(e));
            return;
        }
        say(number, "written");
        awaitStop(deadline);
        try {
            target.delete();
            say(number, "deleted");
        } catch (Throwable e) {
            say(number, "not-deleted " + describe(e));
        }
    }

    /** Until the script has made the file that says so. */
    private static void awaitStop(long deadline) {
        File stop = new File(System.getProperty("java.io.tmpdir"), "stop");
        while (!stop.exists() && System.nanoTime() < deadline) {
            try {
                Thread.sleep(50);
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    private static void read(String path, int number, String token) {
        String presence = presence(path);
        if (presence.equals("there")) {
            try {
                presence = StorageProbe.of(path).read().equals(token) ? "read" : "unknown it is there, with something else in it";
            } catch (Throwable e) {
                presence = "unknown " + describe(e);
            }
        }
        say(number, presence);
    }

    /** What a Flink process does before it touches a file. */
    private static void start(List<String> options, String role) throws Throwable {
        String folder = System.getenv("FLINK_CONF_DIR");
        Object configuration = call(null, "configuration.GlobalConfiguration", "loadConfiguration",
                new Class<?>[] {String.class}, folder);
        // The entrypoint adds these to the file, which it cannot where the file is a ConfigMap's.
        String properties = System.getenv("FLINK_PROPERTIES");
        File old = new File(folder, "flink-conf.yaml");
        File file = old.exists() ? old : new File(folder, "config.yaml");
        if (properties != null && file.canWrite()) {
            for (String line : properties.split("\n")) {
                Matcher matcher = LINE.matcher(line);
                if (matcher.matches()) {
                    set(configuration, matcher.group(1), matcher.group(2).trim());
                }
            }
        }
        for (String option : options) {
            String[] pair = option.substring(2).split("=", 2);
            set(configuration, pair[0], pair.length == 2 ? pair[1] : "true");
        }
        Map<?, ?> all = (Map<?, ?>) call(configuration, "configuration.Configuration", "toMap");
        for (Map<?, ?> map : new Map<?, ?>[] {all, System.getenv()}) {
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                String value = String.valueOf(entry.getValue());
                if (SECRET.matcher(String.valueOf(entry.getKey())).find() && value.length() > 5) {
                    SECRETS.add(value);
                }
            }
        }
        // Trust stores and proxies are properties of the JVM.
        for (String key : new String[] {"all", "", role}) {
            Object value = all.get(key.isEmpty() ? "env.java.opts" : "env.java.opts." + key);
            for (String word : value == null ? new String[0] : value.toString().trim().split("\\s+")) {
                if (word.startsWith("-D")) {
                    String[] pair = word.substring(2).split("=", 2);
                    System.setProperty(pair[0], pair.length == 2 ? pair[1] : "");
                }
            }
        }
        Class<?> type = type("configuration.Configuration");
        Object plugins = call(null, "core.plugin.PluginUtils", "createPluginManagerFromRootFolder", new Class<?>[] {type},
                configuration);
        call(null, "core.fs.FileSystem", "initialize", new Class<?>[] {type, type("core.plugin.PluginManager")},
                configuration, plugins);
    }

    private static void set(Object configuration, String key, String value) throws Throwable {
        call(configuration, "configuration.Configuration", "setString", new Class<?>[] {String.class, String.class}, key,
                value);
    }

    private static Class<?> type(String name) throws ClassNotFoundException {
        return Class.forName(FLINK + name);
    }

    private static Object call(Object on, String type, String method) throws Throwable {
        return call(on, type, method, new Class<?>[0]);
    }

    private static Object call(Object on, String type, String method, Class<?>[] types, Object... arguments)
            throws Throwable {
        Method found = type(type).getMethod(method, types);
        try {
            return found.invoke(on, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    /** One line, without what is secret. */
    private static String describe(Throwable e) {
        String message = e.getMessage();
        for (Throwable cause = e.getCause(); message == null && cause != null; cause = cause.getCause()) {
            message = cause.getMessage();
        }
        String line = e.getClass().getSimpleName() + (message == null ? "" : ": " + message.trim().split("[\r\n]", 2)[0]);
        line = NOISE.matcher(line).replaceAll("");
        for (String secret : SECRETS) {
            line = line.replace(secret, "***");
        }
        return line.length() > 400 ? line.substring(0, 400) : line;
    }

    private static synchronized void say(int number, String answer) {
        String line = "kubectl-flink-probe " + number + " " + answer + "\n";
        System.out.print(line);
        System.out.flush();
        try (OutputStream message = new FileOutputStream("/dev/termination-log", true)) {
            message.write(line.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            // The log has it.
        }
    }
}
