# A service manager's end of sd_notify(3): prints each datagram that comes to the socket, as JSON with its sender's pid.
import json, socket, struct, sys

path = sys.argv[1]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
notify.bind("\0" + path[1:] if path.startswith("@") else path)
print("bound", flush=True)
while True:
    text, control, _, _ = notify.recvmsg(65536, socket.CMSG_SPACE(12))
    pid, _, _ = struct.unpack("3i", control[0][2])
    print(json.dumps({"pid": pid, "text": text.decode()}), flush=True)
