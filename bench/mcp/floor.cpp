// The floor that servers are measured against: what answering a line costs at least. `bare` reads, finds the newline
// and answers with the id copied; `json` also parses every request and dumps every response, as whoever uses
// nlohmann/json must. The results come from the command line, so that they are those of the server beside it:
//     mcp_floor bare|json <result of tools/call>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using nlohmann::json;

constexpr std::size_t chunk_bytes = 64UL * 1024;
constexpr std::string_view call_method = "\"method\":\"tools/call\"";
constexpr std::string_view notification = "\"method\":\"notifications/";

struct bare {
  std::string call_result;

  void answer(std::string_view line, std::string& out) const {
    if (line.find(notification) != std::string_view::npos) return;
    const auto begin = line.find("\"id\":") + 5;
    const auto id = line.substr(begin, line.find_first_of(",}", begin) - begin);
    const bool is_call = line.find(call_method) != std::string_view::npos;
    out += R"({"jsonrpc":"2.0","id":)";
    out += id;
    out += R"(,"result":)";
    out += is_call ? std::string_view(call_result) : std::string_view("{}");
    out += "}\n";
  }
};

struct with_json {
  json call_result;

  json result_of_a_call() const {
    json result = call_result;
    const auto structured = result.find("structuredContent");
    if (structured != result.end()) result["content"][0]["text"] = structured->dump();
    return result;
  }

  void answer(std::string_view line, std::string& out) const {
    const json request = json::parse(line);
    if (!request.contains("id")) return;
    json response = {{"jsonrpc", "2.0"}, {"id", request["id"]}};
    response["result"] = request["method"] == "tools/call" ? result_of_a_call() : json::object();
    out += response.dump();
    out += '\n';
  }
};

bool write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

template <class Server>
int serve(const Server& server) {
  std::vector<char> chunk(chunk_bytes);
  std::string in;
  std::string out;
  while (true) {
    const auto got = read(STDIN_FILENO, chunk.data(), chunk.size());
    if (got <= 0) return got == 0 ? 0 : 1;
    in.append(chunk.data(), static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (auto end = in.find('\n'); end != std::string::npos; end = in.find('\n', begin)) {
      server.answer(std::string_view(in).substr(begin, end - begin), out);
      begin = end + 1;
    }
    in.erase(0, begin);
    if (!write_all(out)) return 1;
    out.clear();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  if (words.size() != 3 || (words[1] != "bare" && words[1] != "json")) {
    std::cerr << "usage: mcp_floor bare|json <result of tools/call>\n";
    return 2;
  }
  if (words[1] == "bare") return serve(bare{words[2]});
  return serve(with_json{json::parse(words[2])});
}
