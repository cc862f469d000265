/* getent for another libc: the addresses of a name, or the name of an address, as that libc's own resolver has them. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  struct sockaddr_in address = {.sin_family = AF_INET};
  char text[256];
  if (argc != 2) return 2;
  if (inet_pton(AF_INET, argv[1], &address.sin_addr) == 1) {
    if (getnameinfo((void *)&address, sizeof address, text, sizeof text, 0, 0, NI_NAMEREQD)) return 1;
    puts(text);
    return 0;
  }
  if (getaddrinfo(argv[1], 0, &hints, &found)) return 1;
  for (; found; found = found->ai_next) {
    if (getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, 0, 0, NI_NUMERICHOST)) return 1;
    puts(text);
  }
  return 0;
}
