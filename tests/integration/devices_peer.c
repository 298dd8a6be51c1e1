/* A three-phase meter by libmodbus: devices_peer tcp <port> | rtu <serial line>. */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    int is_tcp = argc == 3 && strcmp(argv[1], "tcp") == 0, listening = -1;
    modbus_t *line = is_tcp ? modbus_new_tcp("127.0.0.1", atoi(argv[2]))
                            : modbus_new_rtu(argv[2], 9600, 'N', 8, 1);
    modbus_mapping_t *map = modbus_mapping_new(8, 0, 64, 0);
    uint16_t words[] = {0x1234, 0x5678, 0x0001, 0xE240, 0, 0};
    unsigned char query[MODBUS_TCP_MAX_ADU_LENGTH];

    if (line == NULL || map == NULL || modbus_set_slave(line, 1) != 0) return 2;
    memcpy(map->tab_registers, words, sizeof words);
    map->tab_registers[16] = 2304;
    map->tab_registers[17] = 0xFFFF;
    map->tab_registers[18] = 0xFC18;
    map->tab_registers[32] = 0x3FA0;
    if (is_tcp) listening = modbus_tcp_listen(line, 1);
    else if (modbus_connect(line) != 0) return 3;
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (is_tcp && modbus_tcp_accept(line, &listening) < 0) return 4;
        for (;;) {
            int length = modbus_receive(line, query);
            if (length > 0) modbus_reply(line, query, length, map);
            else if (length < 0 && is_tcp) break;
        }
    }
}
