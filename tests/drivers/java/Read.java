// Each line is a connection string in base64; the answer is [[[host, port], ...], user, password, database], or null.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Properties;
import java.util.StringJoiner;

public class Read {
    public static void main(String[] arguments) throws Exception {
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(read(new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8)));
        }
    }

    private static String read(String text) {
        Properties found;
        try {
            found = org.postgresql.Driver.parseURL(text, new Properties());
        } catch (RuntimeException refused) {
            return "null";
        }
        if (found == null) {
            return "null";
        }
        String[] hosts = found.getProperty("PGHOST", "localhost").split(",");
        String[] ports = found.getProperty("PGPORT", "5432").split(",");
        var listed = new StringJoiner(",", "[", "]");
        for (int at = 0; at < hosts.length; at++) {
            listed.add("[" + quoted(hosts[at]) + "," + (at < ports.length ? ports[at] : "5432") + "]");
        }
        var database = quoted(found.getProperty("PGDBNAME"));
        var login = quoted(found.getProperty("user")) + "," + quoted(found.getProperty("password"));
        return "[" + listed + "," + login + "," + database + "]";
    }

    private static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        var written = new StringBuilder("\"");
        for (char mark : text.toCharArray()) {
            written.append(String.format("\\u%04x", (int) mark));
        }
        return written.append('"').toString();
    }
}
