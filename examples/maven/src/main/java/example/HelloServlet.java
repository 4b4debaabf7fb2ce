package example;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import javax.servlet.annotation.WebServlet;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;

/** Answers GET /hello. */
@WebServlet("/hello")
public class HelloServlet extends HttpServlet {
    private static final long serialVersionUID = 1;

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        long process = ProcessHandle.current().pid();
        String arguments = ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
            .map(argument -> '"' + argument.replace("\\", "\\\\").replace("\"", "\\\"") + '"')
            .reduce((all, one) -> all + ", " + one).orElse("");
        response.setContentType("application/json");
        response.getWriter().printf("{\"greeting\": \"Hello, shop!\", \"arguments\": [%s], \"pid\": %d}%n", arguments, process);
    }
}
