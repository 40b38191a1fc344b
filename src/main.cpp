#include "cli/config.hpp"
#include "cli/serve.hpp"

int main(int argc, char** argv) {
  int exit_code = -1;
  const auto settings = awm::cli::read_config(argc, argv, exit_code);
  if (exit_code >= 0) return exit_code;
  return awm::cli::serve(settings);
}
