/** Admin.Call on the port for peers and administration. A caller that hangs up ends the waiting for it. */
import type {
  ServerUnaryCall,
  ServiceDefinition,
  sendUnaryData,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { AdminCall, AdminReply } from '../../protocol/admin.ts';
import { adminServiceDefinition } from '../../protocol/admin-codec.ts';
import type { Admin } from './admin.ts';

export interface AdminService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/** For `server.addService(definition, implementation)`. */
export function adminService(admin: Pick<Admin, 'answer'>): AdminService {
  return {
    definition: adminServiceDefinition(),
    implementation: {
      call: (call: ServerUnaryCall<AdminCall, AdminReply>, callback: sendUnaryData<AdminReply>) => {
        const controller = new AbortController();
        call.on('cancelled', () => controller.abort());
        // What a caller can cause is a reply; a rejection is a bug, stays unhandled, and ends this program.
        void admin.answer(call.request, controller.signal).then((reply) => callback(null, reply));
      },
    },
  };
}
